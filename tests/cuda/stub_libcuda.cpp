// A libcuda.so.1 for machines without a GPU: the entry points that bgcamd/cuda/driver.py uses, on the host's memory.
//
// It stands where NVIDIA's library would, below cuda-python, so that a test sees what cuda-python really passes on.
// What is queued is done no earlier than somebody waits for it, as a busy GPU may do it; a copy from memory that is
// not registered is read at once. Each piece of work takes one millisecond of an imaginary clock.
//
// BGCAMD_STUB_FAIL=cuMemAlloc:2:700   the second call answers error 700, and so does all that follows in this context
// BGCAMD_STUB_GPUS=0                  a driver that finds no GPU
// BGCAMD_STUB_WITHOUT=cuGraphLaunch   a driver from before there was such a function
// stub_log() gives every call with its numbers; stub_left() counts what lives.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace {
enum Result { OK = 0, INVALID_VALUE = 1, NOT_INITIALIZED = 3, NO_DEVICE = 100, INVALID_DEVICE = 101, INVALID_IMAGE = 200,
              INVALID_CONTEXT = 201, ALREADY_MAPPED = 208, INVALID_HANDLE = 400, NOT_FOUND = 500, NOT_READY = 600,
              ILLEGAL_ADDRESS = 700, NOT_REGISTERED = 713, CAPTURE_UNSUPPORTED = 900, CAPTURE_UNMATCHED = 903 };
using Work = std::function<void()>;
using Handle = void*;
using Address = unsigned long long;

struct Stream { std::deque<Work> queue; bool capturing = false; std::vector<Work> captured; };
struct Event { bool reached = false; double at_ms = 0; Stream* behind = nullptr; };
struct Module { std::set<std::string> kernels; };
struct Function { std::string name; };
struct Graph { std::vector<Work> work; };

struct State {
  bool initialized = false;
  int sticky = OK;
  int retained = 0;
  double clock_ms = 0;
  std::string log;
  std::map<std::string, int> calls;
  std::map<Address, size_t> memory, registered;
  std::set<Stream*> streams;
  std::set<Event*> events;
  std::set<Module*> modules;
  std::set<Function*> functions;
  std::set<Graph*> graphs, executables;
} state;
char the_context;
thread_local Handle current = nullptr;

void note(const char* call, std::vector<long long> numbers) {
  state.log += call;
  for (long long number : numbers) state.log += " " + std::to_string(number);
  state.log += "\n";
}

// Counts the call, writes it down, and says whether it may go on.
int begun(const char* call, std::vector<long long> numbers, bool in_context = true) {
  note(call, numbers);
  int number = ++state.calls[call];
  if (const char* wanted = getenv("BGCAMD_STUB_FAIL")) {
    char name[64];
    int which = 0, error = 0;
    if (sscanf(wanted, "%63[^:]:%d:%d", name, &which, &error) == 3 && !strcmp(name, call) && which == number) {
      if (error >= ILLEGAL_ADDRESS && error < 720) state.sticky = error;
      return error;
    }
  }
  if (!in_context) return OK;
  if (!state.initialized) return NOT_INITIALIZED;
  if (!current || !state.retained) return INVALID_CONTEXT;
  return state.sticky;
}
#define BEGIN(...) if (int error = begun(__VA_ARGS__)) return error
// A GPU that failed forgets what it is told to free, and answers that it failed all the same.
#define BEGIN_FREEING(call) \
  if (int error = begun(call, {}, false)) return error; \
  if (!current || !state.retained) return INVALID_CONTEXT
#define KNOWN(set, handle) if (!state.set.count(handle)) return INVALID_HANDLE

int queue(Stream* stream, Work work) {
  KNOWN(streams, stream);
  if (stream->capturing) stream->captured.push_back(work);
  else stream->queue.push_back(work);
  return OK;
}
void run(Stream* stream) {
  if (state.streams.count(stream) && !state.sticky)
    for (; !stream->queue.empty(); stream->queue.pop_front()) {
      stream->queue.front()();
      state.clock_ms += 1;
    }
}
bool inside(const std::map<Address, size_t>& blocks, Address address, size_t size) {
  auto next = blocks.upper_bound(address);
  return next != blocks.begin() && address + size <= std::prev(next)->first + std::prev(next)->second;
}
bool on_device(Address address, size_t size) {
  return inside(state.memory, address, size) || inside(state.registered, address, size);
}
Work mover(Address target, Address source, size_t size) {
  return [=] { memmove(reinterpret_cast<void*>(target), reinterpret_cast<void*>(source), size); };
}

// The kernels in an ELF file, which a cubin is: each has a section of its own.
std::set<std::string> kernels_of(const unsigned char* image) {
  auto read = [=](size_t at, int bytes) { uint64_t n = 0; memcpy(&n, image + at, bytes); return n; };
  uint64_t table = read(0x28, 8), each = read(0x3A, 2), count = read(0x3C, 2), names = read(0x3E, 2);
  uint64_t texts = read(table + names * each + 0x18, 8);
  std::set<std::string> found;
  for (uint64_t i = 0; i < count; ++i) {
    std::string name = reinterpret_cast<const char*>(image + texts + read(table + i * each, 4));
    if (name.rfind(".text.", 0) == 0) found.insert(name.substr(6));
  }
  return found;
}
}  // namespace

extern "C" {
const char* stub_log() { return state.log.c_str(); }
int stub_left() {
  return state.memory.size() + state.registered.size() + state.streams.size() + state.events.size() +
         state.modules.size() + state.graphs.size() + state.executables.size() + state.retained;
}

int cuInit(unsigned flags) {
  BEGIN("cuInit", {flags}, false);
  const char* gpus = getenv("BGCAMD_STUB_GPUS");
  if (gpus && !atoi(gpus)) return NO_DEVICE;
  state.initialized = true;
  return OK;
}
int cuDriverGetVersion(int* version) { *version = 13020; return OK; }
int cuDeviceGetCount(int* count) { if (!state.initialized) return NOT_INITIALIZED; *count = 1; return OK; }
int cuDeviceGet(int* device, int ordinal) {
  if (!state.initialized) return NOT_INITIALIZED;
  if (ordinal) return INVALID_DEVICE;
  *device = 7;  // a device's handle is not its ordinal
  return OK;
}
int cuDeviceGetName(char* name, int size, int device) {
  if (device != 7) return INVALID_DEVICE;
  snprintf(name, size, "Stub GPU");
  return OK;
}
int cuDeviceGetAttribute(int* value, int attribute, int device) {
  if (device != 7) return INVALID_DEVICE;
  *value = attribute == 75 ? 8 : attribute == 76 ? 9 : 0;  // COMPUTE_CAPABILITY_MAJOR, _MINOR; 18 is INTEGRATED
  return OK;
}
int cuDevicePrimaryCtxRetain(Handle* context, int device) {
  BEGIN("cuDevicePrimaryCtxRetain", {device}, false);
  if (device != 7) return INVALID_DEVICE;
  ++state.retained;
  *context = &the_context;
  return OK;
}
int cuDevicePrimaryCtxRelease_v2(int device) {
  BEGIN("cuDevicePrimaryCtxRelease", {device}, false);
  if (device != 7 || !state.retained) return INVALID_CONTEXT;
  int answer = state.sticky;
  if (--state.retained == 0) state.sticky = OK;
  return answer;
}
int cuCtxSetCurrent(Handle context) {
  BEGIN("cuCtxSetCurrent", {context != nullptr}, false);
  if (context && context != &the_context) return INVALID_CONTEXT;
  current = context;
  return OK;
}
int cuStreamCreate(Stream** stream, unsigned flags) {
  BEGIN("cuStreamCreate", {flags});
  state.streams.insert(*stream = new Stream);
  return OK;
}
int cuStreamDestroy_v2(Stream* stream) {
  BEGIN_FREEING("cuStreamDestroy");
  KNOWN(streams, stream);
  run(stream);
  state.streams.erase(stream);
  delete stream;
  return state.sticky;
}
int cuMemGetInfo_v2(size_t* left, size_t* total) {
  BEGIN("cuMemGetInfo", {});
  *total = size_t{1} << 30;
  *left = *total;
  for (auto& block : state.memory) *left -= block.second;
  return OK;
}
int cuMemAlloc_v2(Address* address, size_t size) {
  BEGIN("cuMemAlloc", {static_cast<long long>(size)});
  if (!size) return INVALID_VALUE;
  void* block = aligned_alloc(256, (size + 255) / 256 * 256);
  memset(block, 0xA5, size);
  state.memory[*address = reinterpret_cast<Address>(block)] = size;
  return OK;
}
int cuMemFree_v2(Address address) {
  BEGIN_FREEING("cuMemFree");
  if (!state.memory.erase(address)) return INVALID_VALUE;
  for (Stream* stream : state.streams) run(stream);  // cuMemFree waits for the device
  free(reinterpret_cast<void*>(address));
  return state.sticky;
}
int cuMemHostRegister_v2(void* start, size_t size, unsigned flags) {
  BEGIN("cuMemHostRegister", {static_cast<long long>(size), flags});
  if (!state.registered.emplace(reinterpret_cast<Address>(start), size).second) return ALREADY_MAPPED;
  return OK;
}
int cuMemHostUnregister(void* start) {
  BEGIN_FREEING("cuMemHostUnregister");
  return state.registered.erase(reinterpret_cast<Address>(start)) ? state.sticky : NOT_REGISTERED;
}
int cuMemHostGetDevicePointer_v2(Address* address, void* start, unsigned flags) {
  BEGIN("cuMemHostGetDevicePointer", {flags});
  if (flags || !inside(state.registered, reinterpret_cast<Address>(start), 1)) return INVALID_VALUE;
  *address = reinterpret_cast<Address>(start);
  return OK;
}
int cuMemcpyHtoDAsync_v2(Address target, const void* source, size_t size, Stream* stream) {
  BEGIN("cuMemcpyHtoDAsync", {static_cast<long long>(size)});
  auto start = reinterpret_cast<Address>(source);
  if (!on_device(target, size)) return INVALID_VALUE;
  if (inside(state.registered, start, size) || (state.streams.count(stream) && stream->capturing))
    return queue(stream, mover(target, start, size));
  std::string staged(static_cast<const char*>(source), size);
  return queue(stream, [=] { memcpy(reinterpret_cast<void*>(target), staged.data(), size); });
}
int cuMemcpyDtoHAsync_v2(void* target, Address source, size_t size, Stream* stream) {
  BEGIN("cuMemcpyDtoHAsync", {static_cast<long long>(size)});
  if (!on_device(source, size)) return INVALID_VALUE;
  return queue(stream, mover(reinterpret_cast<Address>(target), source, size));
}
int cuMemcpyDtoDAsync_v2(Address target, Address source, size_t size, Stream* stream) {
  BEGIN("cuMemcpyDtoDAsync", {static_cast<long long>(size)});
  if (!on_device(target, size) || !on_device(source, size)) return INVALID_VALUE;
  return queue(stream, mover(target, source, size));
}
int cuMemsetD8Async(Address target, unsigned char byte, size_t size, Stream* stream) {
  BEGIN("cuMemsetD8Async", {byte, static_cast<long long>(size)});
  if (!on_device(target, size)) return INVALID_VALUE;
  return queue(stream, [=] { memset(reinterpret_cast<void*>(target), byte, size); });
}
int cuEventCreate(Event** event, unsigned flags) {
  BEGIN("cuEventCreate", {flags});
  state.events.insert(*event = new Event);
  return OK;
}
int cuEventDestroy_v2(Event* event) {
  BEGIN_FREEING("cuEventDestroy");
  KNOWN(events, event);
  run(event->behind);
  state.events.erase(event);
  delete event;
  return state.sticky;
}
int cuEventRecord(Event* event, Stream* stream) {
  BEGIN("cuEventRecord", {});
  KNOWN(events, event);
  KNOWN(streams, stream);
  event->reached = false;
  event->behind = stream;
  if (stream->capturing) return OK;
  return queue(stream, [=] {
    event->reached = true;
    event->at_ms = state.clock_ms;
    state.clock_ms -= 1;  // a mark takes no time
  });
}
int cuEventSynchronize(Event* event) {
  BEGIN("cuEventSynchronize", {});
  KNOWN(events, event);
  if (state.streams.count(event->behind) && event->behind->capturing) return CAPTURE_UNSUPPORTED;
  run(event->behind);
  return OK;
}
int cuEventElapsedTime_v2(float* ms, Event* start, Event* end) {
  BEGIN("cuEventElapsedTime", {});
  KNOWN(events, start);
  KNOWN(events, end);
  if (!start->reached || !end->reached) return NOT_READY;
  *ms = static_cast<float>(end->at_ms - start->at_ms);
  return OK;
}
int cuModuleLoadData(Module** module, const void* image) {
  BEGIN("cuModuleLoadData", {});
  if (memcmp(image, "\177ELF", 4)) return INVALID_IMAGE;
  state.modules.insert(*module = new Module{kernels_of(static_cast<const unsigned char*>(image))});
  return OK;
}
int cuModuleUnload(Module* module) {
  BEGIN_FREEING("cuModuleUnload");
  KNOWN(modules, module);
  state.modules.erase(module);
  delete module;
  return state.sticky;
}
int cuModuleGetFunction(Function** function, Module* module, const char* name) {
  BEGIN("cuModuleGetFunction", {});
  KNOWN(modules, module);
  if (!module->kernels.count(name)) return NOT_FOUND;
  state.functions.insert(*function = new Function{name});
  return OK;
}
// The one kernel it can run: add_scaled(const float* source, float* target, int count, float factor).
int cuLaunchKernel(Function* function, unsigned bx, unsigned by, unsigned bz, unsigned tx, unsigned ty, unsigned tz,
                   unsigned shared, Stream* stream, void** arguments, void** extra) {
  BEGIN("cuLaunchKernel", {bx, by, bz, tx, ty, tz, shared, extra != nullptr});
  KNOWN(functions, function);
  if (function->name != "add_scaled") return NOT_FOUND;
  Address source = *static_cast<Address*>(arguments[0]), target = *static_cast<Address*>(arguments[1]);
  int count = *static_cast<int*>(arguments[2]);
  float factor = *static_cast<float*>(arguments[3]);
  size_t bytes = sizeof(float) * count;
  if (!on_device(source, bytes) || !on_device(target, bytes)) return ILLEGAL_ADDRESS;
  int threads = int(bx * by * bz * tx * ty * tz);
  return queue(stream, [=] {
    for (int i = 0; i < count && i < threads; ++i)
      reinterpret_cast<float*>(target)[i] += factor * reinterpret_cast<float*>(source)[i];
  });
}
int cuStreamBeginCapture_v2(Stream* stream, int mode) {
  BEGIN("cuStreamBeginCapture", {mode});
  KNOWN(streams, stream);
  if (stream->capturing) return CAPTURE_UNMATCHED;
  stream->capturing = true;
  return OK;
}
int cuStreamEndCapture(Stream* stream, Graph** graph) {
  BEGIN("cuStreamEndCapture", {});
  KNOWN(streams, stream);
  if (!stream->capturing) return CAPTURE_UNMATCHED;
  stream->capturing = false;
  state.graphs.insert(*graph = new Graph{std::move(stream->captured)});
  stream->captured.clear();
  return OK;
}
int cuGraphInstantiateWithFlags(Graph** executable, Graph* graph, unsigned long long flags) {
  BEGIN("cuGraphInstantiate", {static_cast<long long>(flags)});
  KNOWN(graphs, graph);
  state.executables.insert(*executable = new Graph{graph->work});
  return OK;
}
int cuGraphDestroy(Graph* graph) {
  BEGIN_FREEING("cuGraphDestroy");
  KNOWN(graphs, graph);
  state.graphs.erase(graph);
  delete graph;
  return state.sticky;
}
int cuGraphLaunch(Graph* executable, Stream* stream) {
  BEGIN("cuGraphLaunch", {});
  KNOWN(executables, executable);
  for (Work& work : executable->work)
    if (int error = queue(stream, work)) return error;
  return OK;
}
int cuGraphExecDestroy(Graph* executable) {
  BEGIN_FREEING("cuGraphExecDestroy");
  KNOWN(executables, executable);
  state.executables.erase(executable);
  delete executable;
  return state.sticky;
}
int cuGetErrorString(int error, const char** text) {
  static const std::map<int, const char*> texts = {
      {1, "invalid argument"}, {2, "out of memory"}, {100, "no CUDA-capable device is detected"},
      {201, "invalid device context"}, {400, "invalid resource handle"}, {500, "named symbol not found"},
      {600, "device not ready"}, {700, "an illegal memory access was encountered"},
      {900, "operation not permitted when stream is capturing"}};
  auto found = texts.find(error);
  *text = found == texts.end() ? nullptr : found->second;
  return found == texts.end() ? INVALID_VALUE : OK;
}

// NVRTC asks for a table of functions that nobody documents, and heeds its first word: how long it is.
int cuGetExportTable(const void** table, const void*) {
  static const size_t empty = sizeof(empty);
  *table = &empty;
  return OK;
}

// How cuda-python finds all of the above: by name, and the CUDA version whose signature it means.
int cuGetProcAddress_v2(const char* symbol, void** found, int version, uint64_t, int* status) {
  const char* without = getenv("BGCAMD_STUB_WITHOUT");
#define ENTRY(name, since, function) if (!strcmp(symbol, name) && version >= since) return *found = (void*)function, OK
  if (without && !strcmp(symbol, without)) return *found = nullptr, NOT_FOUND;
  ENTRY("cuInit", 2000, cuInit);
  ENTRY("cuDriverGetVersion", 2020, cuDriverGetVersion);
  ENTRY("cuDeviceGetCount", 2000, cuDeviceGetCount);
  ENTRY("cuDeviceGet", 2000, cuDeviceGet);
  ENTRY("cuDeviceGetName", 2000, cuDeviceGetName);
  ENTRY("cuDeviceGetAttribute", 2000, cuDeviceGetAttribute);
  ENTRY("cuDevicePrimaryCtxRetain", 7000, cuDevicePrimaryCtxRetain);
  ENTRY("cuDevicePrimaryCtxRelease", 11000, cuDevicePrimaryCtxRelease_v2);
  ENTRY("cuCtxSetCurrent", 4000, cuCtxSetCurrent);
  ENTRY("cuStreamCreate", 2000, cuStreamCreate);
  ENTRY("cuStreamDestroy", 4000, cuStreamDestroy_v2);
  ENTRY("cuMemGetInfo", 3020, cuMemGetInfo_v2);
  ENTRY("cuMemAlloc", 3020, cuMemAlloc_v2);
  ENTRY("cuMemFree", 3020, cuMemFree_v2);
  ENTRY("cuMemHostRegister", 6050, cuMemHostRegister_v2);
  ENTRY("cuMemHostUnregister", 4000, cuMemHostUnregister);
  ENTRY("cuMemHostGetDevicePointer", 3020, cuMemHostGetDevicePointer_v2);
  ENTRY("cuMemcpyHtoDAsync", 3020, cuMemcpyHtoDAsync_v2);
  ENTRY("cuMemcpyDtoHAsync", 3020, cuMemcpyDtoHAsync_v2);
  ENTRY("cuMemcpyDtoDAsync", 3020, cuMemcpyDtoDAsync_v2);
  ENTRY("cuMemsetD8Async", 3020, cuMemsetD8Async);
  ENTRY("cuEventCreate", 2000, cuEventCreate);
  ENTRY("cuEventDestroy", 4000, cuEventDestroy_v2);
  ENTRY("cuEventRecord", 2000, cuEventRecord);
  ENTRY("cuEventSynchronize", 2000, cuEventSynchronize);
  ENTRY("cuEventElapsedTime", 12080, cuEventElapsedTime_v2);
  ENTRY("cuModuleLoadData", 2000, cuModuleLoadData);
  ENTRY("cuModuleUnload", 2000, cuModuleUnload);
  ENTRY("cuModuleGetFunction", 2000, cuModuleGetFunction);
  ENTRY("cuLaunchKernel", 4000, cuLaunchKernel);
  ENTRY("cuStreamBeginCapture", 10010, cuStreamBeginCapture_v2);
  ENTRY("cuStreamEndCapture", 10000, cuStreamEndCapture);
  ENTRY("cuGraphInstantiateWithFlags", 11040, cuGraphInstantiateWithFlags);
  ENTRY("cuGraphDestroy", 10000, cuGraphDestroy);
  ENTRY("cuGraphLaunch", 10000, cuGraphLaunch);
  ENTRY("cuGraphExecDestroy", 10000, cuGraphExecDestroy);
  ENTRY("cuGetErrorString", 6000, cuGetErrorString);
  if (status) *status = 1;  // SYMBOL_NOT_FOUND
  *found = nullptr;
  return NOT_FOUND;
}
}

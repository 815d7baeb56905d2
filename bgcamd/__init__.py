"""bgcamd: a virtual webcam whose background is replaced.

Importing this package costs nothing; each room (``video``, ``matting``, ``canvas``, ``service``, ``cli``)
is imported by whoever needs it.
"""

__version__ = "0.1.0"

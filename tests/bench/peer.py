"""The pipeline that virtual cameras in Python usually have, as a program of its own; against_peer.py runs it.

peer.py FRAMES.npy BACKGROUND.png usual|careful COUNT: prints the CPU ms a frame, of all its threads.
Runs in .venv-peer, on mediapipe 0.10.21, without bgcamd.
"""

from __future__ import annotations

import itertools
import sys
import time

import cv2
import mediapipe as mp
import numpy as np

WARM_UP = 20
_SMALL = (256, 256)  # what the network takes; mediapipe shrinks to it by itself otherwise


def usual(packed, background, network):
    """mediapipe on the whole RGB picture, float NumPy over it: Linux-Fake-Background-Webcam up to 2024, tutorials."""
    bgr = cv2.cvtColor(packed, cv2.COLOR_YUV2BGR_YUYV)  # as cv2.VideoCapture gives it
    rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    rgb.flags.writeable = False
    mask = network.process(rgb).segmentation_mask  # float32 (h, w)
    mask = np.stack((mask,) * 3, axis=-1)
    mixed = (rgb * mask + background * (1 - mask)).astype(np.uint8)
    return cv2.cvtColor(mixed, cv2.COLOR_RGB2YUV_I420)


def careful(packed, background, network):
    """The same by someone who counts: the picture shrunk first, one colour order, OpenCV's own blending."""
    rgb = cv2.cvtColor(packed, cv2.COLOR_YUV2RGB_YUYV)
    mask = network.process(cv2.resize(rgb, _SMALL, interpolation=cv2.INTER_AREA)).segmentation_mask
    mask = cv2.resize(mask, rgb.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    mixed = cv2.blendLinear(rgb, background, mask, 1 - mask)
    return cv2.cvtColor(mixed, cv2.COLOR_RGB2YUV_I420)


def main(frames: str, picture: str, way: str, count: str) -> None:
    """Measure, and print the figure."""
    cv2.setNumThreads(1)
    sent = np.load(frames)
    background = cv2.resize(cv2.cvtColor(cv2.imread(picture), cv2.COLOR_BGR2RGB), sent.shape[2:0:-1])
    work = {"usual": usual, "careful": careful}[way]
    endless = itertools.cycle(sent)
    with mp.solutions.selfie_segmentation.SelfieSegmentation(model_selection=0) as network:
        for packed in itertools.islice(endless, WARM_UP):
            work(packed, background, network)
        before = time.process_time()
        for packed in itertools.islice(endless, int(count)):
            work(packed, background, network)
        sys.stdout.write(f"{(time.process_time() - before) * 1e3 / int(count):.3f}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Pixels: conversion, refinement, compositing."""

"""Opens `mujoco.Renderer` where OpenGL works, with or without a display. Only videos and comparisons need it."""

import os
from typing import Any

import mujoco

from neuroctl.errors import NeuroctlError

PACKAGES = "Debian packages libegl1 or libosmesa6"


class NoOpenGLError(NeuroctlError):
    """OpenGL is not available."""


def open_renderer(model: Any, height: int, width: int) -> Any:
    """A `mujoco.Renderer`; without a display and without `MUJOCO_GL` it uses EGL, then OSMesa.

    Raises:
        NoOpenGLError: nothing works; names the system packages that help.
    """
    attempts = [""] if os.environ.get("MUJOCO_GL") or os.environ.get("DISPLAY") else ["egl", "osmesa"]
    reasons = []
    for backend in attempts:
        try:
            return _open(model, height, width, backend)
        except (mujoco.FatalError, ImportError, AttributeError, RuntimeError, OSError) as error:
            reasons.append(f"{backend or os.environ.get('MUJOCO_GL', 'glfw')}: {' '.join(str(error).split())[:120]}")
    raise NoOpenGLError(f"no OpenGL for rendering; install {PACKAGES} ({'; '.join(reasons)})")


def _open(model: Any, height: int, width: int, backend: str) -> Any:
    if not backend:
        return mujoco.Renderer(model, height, width)
    from mujoco.rendering.classic import gl_context

    # MuJoCo chooses its backend when it is imported; without a display that choice (GLFW) cannot work.
    before, platform = gl_context.GLContext, os.environ.get("PYOPENGL_PLATFORM")
    try:
        os.environ["PYOPENGL_PLATFORM"] = backend
        if backend == "egl":
            from mujoco.egl import GLContext
        else:
            from mujoco.osmesa import GLContext
        gl_context.GLContext = GLContext
        return mujoco.Renderer(model, height, width)
    finally:
        gl_context.GLContext = before
        if platform is None:
            os.environ.pop("PYOPENGL_PLATFORM", None)
        else:
            os.environ["PYOPENGL_PLATFORM"] = platform

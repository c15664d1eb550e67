"""Pictures of lane following for videos: a chase camera with OpenGL, or maps and retinas drawn without it."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from .ground import SKY, VERGE, ground_grey
from .opengl import open_renderer
from .track import CELL_M, GRID, Track
from .vehicle import VEHICLE_XML

FRAME = (256, 512)
SIDE_M = GRID * CELL_M

_FLAT = [int(getattr(mujoco.mjtRndFlag, f"mjRND_{name}")) for name in ("SHADOW", "REFLECTION", "HAZE")]

Frame = NDArray[np.uint8]


def map_centre(track: Track) -> NDArray[np.float64]:
    """Middle `[2]` of the square of `SIDE_M` that holds a track, m."""
    return np.asarray(track.origin * CELL_M + SIDE_M / 2, np.float64)


def ground_map(track: Track, pixels: int) -> Frame:
    """The ground from above, `[pixels, pixels]`, north (+y) up."""
    low = map_centre(track) - SIDE_M / 2
    axis = (np.arange(pixels) + 0.5) * (SIDE_M / pixels)
    x, y = np.meshgrid(low[0] + axis, low[1] + axis[::-1])
    grey = ground_grey(track, np.stack([x.ravel(), y.ravel()], axis=1), blur_m=SIDE_M / pixels)
    return np.round(grey.reshape(pixels, pixels) * 255).astype(np.uint8)


def lane_model(track: Track, pixels: int = 2048) -> Any:
    """The vehicle's model on a ground with the track as its texture, under flat light; for rendering."""
    spec = mujoco.MjSpec.from_string(VEHICLE_XML)
    spec.visual.headlight.ambient = [1.0, 1.0, 1.0]
    spec.visual.headlight.diffuse = [0.0, 0.0, 0.0]
    spec.visual.headlight.specular = [0.0, 0.0, 0.0]
    spec.visual.global_.offheight, spec.visual.global_.offwidth = FRAME
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_FLAT,
        rgb1=[SKY] * 3,
        width=8,
        height=8,
    )
    texture = spec.add_texture(
        name="road", type=mujoco.mjtTexture.mjTEXTURE_2D, width=pixels, height=pixels, nchannel=3
    )
    texture.data = texture_bytes(track, pixels)
    material = spec.add_material(name="road", specular=0, shininess=0, reflectance=0)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "road"
    ground = spec.geom("ground")
    ground.rgba = [VERGE, VERGE, VERGE, 1]
    ground.size, ground.pos = [0, 0, 1], [0, 0, -0.002]
    road = spec.worldbody.add_geom(name="road", type=mujoco.mjtGeom.mjGEOM_PLANE, material="road")
    road.size, road.pos = [SIDE_M / 2, SIDE_M / 2, 1], [*map_centre(track), 0]
    return spec.compile()


def texture_bytes(track: Track, pixels: int) -> bytes:
    """RGB texture of the ground."""
    return np.repeat(ground_map(track, pixels)[..., None], 3, axis=2).tobytes()


class LaneRenderer:
    """Renders vehicles on their tracks with OpenGL; the texture is replaced when the track changes.

    Args:
        track: the first track.
        size: height and width of the picture.

    Raises:
        NoOpenGLError: OpenGL is not available.
    """

    def __init__(self, track: Track, size: tuple[int, int] = FRAME, pixels: int = 2048) -> None:
        self.model = lane_model(track, pixels)
        self.data = mujoco.MjData(self.model)
        self._pixels, self._track = pixels, track
        self._renderer = open_renderer(self.model, *size)

    def render(self, track: Track, qpos: NDArray[np.float64], camera: str = "chase") -> Frame:
        """The picture `[H, W, 3]` from one of the vehicle's cameras."""
        if track is not self._track:
            self._track = track
            self.model.tex_data[-(self._pixels**2) * 3 :] = np.frombuffer(texture_bytes(track, self._pixels), np.uint8)
            self.model.geom("road").pos[:2] = map_centre(track)
            index = self.model.texture("road").id
            mujoco.mjr_uploadTexture(self.model, self._renderer._mjr_context, index)
        self.data.qpos[:] = qpos
        mujoco.mj_forward(self.model, self.data)
        self._renderer.update_scene(self.data, camera=camera)
        self._renderer.scene.flags[_FLAT] = 0
        frame: Frame = self._renderer.render()
        return frame

    def close(self) -> None:
        """Free the OpenGL context."""
        self._renderer.close()


def draw_frame(track: Track, qpos: NDArray[np.float64], image: NDArray[np.float32]) -> Frame:
    """Without OpenGL: a map with the vehicle on the left, what its camera sees on the right, `[256, 512, 3]`.

    Args:
        track: road.
        qpos: pose of the vehicle, x, y, yaw first.
        image: camera image in [0, 1], at most 256 x 256.
    """
    height, width = FRAME
    frame = np.zeros((height, width, 3), np.uint8)
    frame[:, :height] = ground_map(track, height)[..., None]
    low = map_centre(track) - SIDE_M / 2
    for ahead in np.linspace(0, 0.4, 9):
        x, y = qpos[0] + ahead * np.cos(qpos[2]), qpos[1] + ahead * np.sin(qpos[2])
        column, row = int((x - low[0]) / SIDE_M * height), height - 1 - int((y - low[1]) / SIDE_M * height)
        frame[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3] = 230, 60, 40
    scale = min(height // image.shape[0], (width - height) // image.shape[1])
    big = np.kron(np.round(image * 255).astype(np.uint8), np.ones((scale, scale), np.uint8))
    top, left = (height - big.shape[0]) // 2, height + (width - height - big.shape[1]) // 2
    frame[top : top + big.shape[0], left : left + big.shape[1]] = big[..., None]
    return frame

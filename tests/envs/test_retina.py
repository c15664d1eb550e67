import mujoco
import numpy as np
import pytest

from neuroctl.envs.ground import SKY, ground_grey
from neuroctl.envs.lane_follow import LOOP, LaneFollowVector, build_track
from neuroctl.envs.lane_render import LaneRenderer, lane_model
from neuroctl.envs.lane_senses import lane_retina
from neuroctl.envs.opengl import NoOpenGLError, open_renderer
from neuroctl.envs.retina import CAMERA_SIZE, LEVELS, Averager, RayRetina, area_weights, ray_directions
from neuroctl.envs.track_atlas import TrackAtlas
from neuroctl.errors import NeuroctlError

SCENE = """
<mujoco>
  <visual>
    <headlight ambient="1 1 1" diffuse="0 0 0" specular="0 0 0"/>
    <global offheight="256" offwidth="256"/>
  </visual>
  <asset><texture type="skybox" builtin="flat" rgb1=".75 .75 .75" width="8" height="8"/></asset>
  <worldbody>
    <geom name="floor" type="plane" size="0 0 1" rgba=".3 .3 .3 1"/>
    <geom type="box" size=".3 .3 .3" pos="1.5 .5 .3" rgba=".9 .1 .1 1"/>
    <geom type="sphere" size=".3" pos="1.2 -.4 .4" rgba=".2 .8 .3 1"/>
    <camera name="eye" pos="0 0 .6" xyaxes="0 -1 0 .2 0 1" fovy="60"/>
  </worldbody>
</mujoco>
"""


def opened(build):
    try:
        return build()
    except NoOpenGLError as error:
        pytest.skip(f"needs OpenGL: install Debian packages libegl1 or libosmesa6 ({error})")


def forward(model, qpos=None):
    data = mujoco.MjData(model)
    if qpos is not None:
        data.qpos[:] = qpos
    mujoco.mj_forward(model, data)
    return data


def images(camera, keys, size=CAMERA_SIZE, seed=0):
    """Pictures of random poses on tracks `keys`, and the poses."""
    atlas, rng = TrackAtlas(len(keys), build_track), np.random.default_rng(seed)
    poses = np.zeros((len(keys), 4))
    for row, key in enumerate(keys):
        atlas.assign(row, key)
        x, y, heading = build_track(key).pose(rng.uniform(0, 20), rng.uniform(-0.45, 0.0))
        poses[row, :3] = x, y, heading + rng.uniform(-0.3, 0.3)
    return lane_retina(camera, size).render(atlas, np.arange(len(keys)), poses), poses


@pytest.mark.parametrize("camera", ["near", "far"])
@pytest.mark.parametrize("key", [LOOP, 3])
def test_plane_retina_sees_what_the_renderer_sees(camera, key):
    """At 16 x 64 the mean difference is below 0.02 and the largest below 0.25 (sharp rendering, averaged).

    The renderer gets the ground as a texture under flat light. Its picture is rendered with 4 x 4 pixels per camera
    pixel: at one, its mipmaps blur the lines more than a camera of this size would.
    """
    ours, poses = images(camera, [key] * 6, (16, 64))
    renderer = opened(lambda: LaneRenderer(build_track(key), (4 * 32, 4 * 128), 4096))
    average = Averager((16, 64), (128, 512))
    theirs = [average(renderer.render(build_track(key), q, camera)[..., 0] / np.float32(255)) for q in poses]
    renderer.close()
    difference = np.abs(ours - np.stack(theirs))
    assert difference.mean() < 0.02
    assert difference.max() < 0.25


def test_ray_retina_sees_what_the_renderer_sees():
    """Apart from the pixels at edges, plain geoms agree to the renderer's 8 bits."""
    model = mujoco.MjModel.from_xml_string(SCENE)
    data = forward(model)
    renderer = opened(lambda: open_renderer(model, 32, 32))
    renderer.update_scene(data, camera="eye")
    renderer.scene.flags[int(mujoco.mjtRndFlag.mjRND_HAZE)] = 0
    theirs = renderer.render() @ np.array([0.299, 0.587, 0.114]) / 255
    renderer.close()
    difference = np.abs(RayRetina(model, "eye").render(data) - theirs)
    assert difference.mean() < 0.02
    assert np.quantile(difference, 0.85) < 0.01


@pytest.mark.parametrize("camera", ["near", "far"])
def test_both_retinas_agree(camera):
    key = 3
    ours, poses = images(camera, [key] * 4)
    model = lane_model(build_track(key), 64)
    rays = RayRetina(
        model,
        camera,
        size=CAMERA_SIZE,
        ground_geom="road",
        ground=lambda points: ground_grey(build_track(key), points),
    )
    theirs = np.stack([rays.render(forward(model, pose)) for pose in poses])
    close = np.abs(ours - theirs)[:, 16:]
    assert np.median(close) < 0.03
    assert close.mean() < 0.05


def test_sky_floor_and_geoms_have_their_grey():
    model = mujoco.MjModel.from_xml_string(SCENE)
    image = RayRetina(model, "eye", size=(32, 32), camera_size=(64, 64), sky=SKY).render(forward(model))
    grey = np.array([0.3, SKY, 0.9 * 0.299 + 0.1 * 0.701, 0.2 * 0.299 + 0.8 * 0.587 + 0.3 * 0.114])
    for value in grey:
        assert (np.abs(image - value) < 0.003).sum() > 20
    assert image[0, 0] == pytest.approx(SKY, abs=0.002)
    assert image[-1, 0] == pytest.approx(0.3, abs=0.002)


@pytest.mark.parametrize("size", [(16, 64), (15, 50), (32, 128), (1, 1), (7, 128)])
def test_averaging_is_over_areas(size):
    image = np.random.default_rng(0).random(CAMERA_SIZE, np.float32)
    expected = area_weights(32, size[0]) @ image @ area_weights(128, size[1]).T
    averaged = Averager(size)(image)
    assert averaged.shape == size
    assert np.abs(averaged - expected).max() <= 0.5 / 255 + 1e-5
    assert np.isin(averaged, LEVELS).all()


def test_weights_share_out_every_pixel():
    weights = area_weights(32, 15)
    assert weights.sum(axis=1) == pytest.approx(1)
    assert weights.sum(axis=0) == pytest.approx(15 / 32)
    assert np.count_nonzero(weights, axis=0).max() <= 2


def test_levels_survive_eight_bits():
    k = np.arange(256)
    assert np.array_equal(np.round(LEVELS * 255).astype(np.uint8), k)
    assert np.array_equal(k.astype(np.uint8).astype(np.float32) / np.float32(255), LEVELS)


def test_values_are_grey_levels_and_rows_do_not_matter():
    ours, _ = images("far", [LOOP, 3, 4, 5])
    assert ours.dtype == np.float32
    assert np.isin(ours, LEVELS).all()
    env = LaneFollowVector(5, observation="retina", track="random")
    obs, _ = env.reset(seed=3)
    for row in range(5):
        alone, _ = LaneFollowVector(1, observation="retina", track="random").reset(seed=3 + row)
        assert np.array_equal(alone[0], obs[row])


def test_rays_match_mujocos_camera():
    """The corner rays enclose the field of view."""
    rays = ray_directions(90.0, (2, 4))
    assert rays[0, 0] == pytest.approx([-1.5, 0.5, -1])
    assert rays[1, 3] == pytest.approx([1.5, -0.5, -1])


@pytest.mark.parametrize("size", [(0, 4), (33, 64), (16, 129), (16,), (1.5, 2), "ab"])
def test_bad_sizes_are_named(size):
    with pytest.raises(NeuroctlError, match="retina_size is .*; allowed"):
        Averager(size)


def test_unknown_camera_is_named():
    model = mujoco.MjModel.from_xml_string(SCENE)
    with pytest.raises(NeuroctlError, match="unknown camera 'ear'; the model has: eye"):
        RayRetina(model, "ear")

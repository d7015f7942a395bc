"""The Fast DDS profile of the package is used, and the user's own one wins."""

import os
from pathlib import Path

import pytest

from irvis_fusion_ros import dds_profile, share


@pytest.fixture(autouse=True)
def no_profile_set(monkeypatch):
    # set first, so that what a test sets is taken back
    monkeypatch.setenv(dds_profile.VARIABLE, '')


def test_the_profile_of_the_package_is_applied():
    profile = dds_profile.apply()
    assert profile.name == 'fastdds.xml'
    assert 'segment_size' in profile.read_text()
    assert os.environ[dds_profile.VARIABLE] == str(profile)


def test_a_profile_that_the_user_chose_stays(monkeypatch):
    monkeypatch.setenv(dds_profile.VARIABLE, '/my/profile.xml')
    assert dds_profile.apply() == Path('/my/profile.xml')
    assert os.environ[dds_profile.VARIABLE] == '/my/profile.xml'


def test_a_package_without_a_profile_sets_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(share, 'folder', lambda: tmp_path)
    assert dds_profile.apply() is None
    assert os.environ[dds_profile.VARIABLE] == ''

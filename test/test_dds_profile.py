"""The Fast DDS profile of the package is used, and the user's own one wins."""

import os
from pathlib import Path

import pytest

from irvis_fusion_ros import dds_profile, share


@pytest.fixture(autouse=True)
def no_profile_set(monkeypatch):
    # set first, so that what a test sets is taken back
    for variable in dds_profile.VARIABLES:
        monkeypatch.setenv(variable, '')


def in_use():
    """Return what Fast DDS 3 and Fast DDS 2 are told."""
    return [os.environ[variable] for variable in dds_profile.VARIABLES]


def test_the_profile_of_the_package_is_applied():
    profile = dds_profile.apply()
    assert profile.name == 'fastdds.xml'
    assert 'segment_size' in profile.read_text()
    assert in_use() == [str(profile), str(profile)]


@pytest.mark.parametrize('variable', dds_profile.VARIABLES)
def test_a_profile_that_the_user_chose_is_used_by_either_version(monkeypatch, variable):
    monkeypatch.setenv(variable, '/my/profile.xml')
    assert dds_profile.apply() == Path('/my/profile.xml')
    assert in_use() == ['/my/profile.xml', '/my/profile.xml']


def test_a_profile_for_each_version_stays(monkeypatch):
    for variable, profile in zip(dds_profile.VARIABLES, ['/for/3.xml', '/for/2.xml'], strict=True):
        monkeypatch.setenv(variable, profile)
    dds_profile.apply()
    assert in_use() == ['/for/3.xml', '/for/2.xml']


def test_a_package_without_a_profile_sets_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(share, 'folder', lambda: tmp_path)
    assert dds_profile.apply() is None
    assert in_use() == ['', '']

import os
import subprocess
import sys

import pytest

SHOW = (
    'import os, sys; from irvis_fusion_ros import process; process.set_up(); '
    'print("numpy" in sys.modules, os.environ["OPENBLAS_NUM_THREADS"], "MKL_NUM_THREADS" in os.environ, '
    'os.environ["OMP_WAIT_POLICY"])'
)


@pytest.mark.parametrize('asked', [None, '3'])
def test_a_process_is_set_up_before_numpy_and_as_the_user_asked(asked):
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.endswith('_NUM_THREADS') and key != 'OMP_WAIT_POLICY'
    }
    if asked:
        environment |= {'OPENBLAS_NUM_THREADS': asked, 'OMP_WAIT_POLICY': 'active'}
    done = subprocess.run([sys.executable, '-c', SHOW], env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ['False', asked or '1', 'False', 'active' if asked else 'passive'], (
        done.stderr
    )

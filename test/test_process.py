import os
import subprocess
import sys

import pytest

SHOW = (
    'import os, sys; from irvis_fusion_ros import process; process.set_up(); '
    'print("numpy" in sys.modules, os.environ["OPENBLAS_NUM_THREADS"], "MKL_NUM_THREADS" in os.environ, '
    'os.environ["GOMP_SPINCOUNT"])'
)


@pytest.mark.parametrize('asked', [None, '3'])
def test_a_process_is_set_up_before_numpy_and_as_the_user_asked(asked):
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.endswith('_NUM_THREADS') and key != 'GOMP_SPINCOUNT'
    }
    if asked:
        environment |= {'OPENBLAS_NUM_THREADS': asked, 'GOMP_SPINCOUNT': '5'}
    done = subprocess.run([sys.executable, '-c', SHOW], env=environment, capture_output=True, text=True)
    count = '5' if asked else '1000'
    assert done.stdout.split() == ['False', asked or '1', 'False', count], done.stderr

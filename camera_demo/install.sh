#!/usr/bin/env bash
# Installs the camera service on 64-bit Raspberry Pi OS (bookworm or trixie); run again, it upgrades.

set -euo pipefail

usage() {
    cat <<'END'
sudo ./install.sh MODEL.tflite [options]     install or upgrade; MODEL may be left out when upgrading
sudo ./install.sh --uninstall [--purge]      remove it; --purge: settings, events, pictures and the user too

  --source SOURCE    picamera (CSI camera), 0 (USB camera), or an rtsp:// or http:// address
  --serve HOST:PORT  where the web page listens, such as 0.0.0.0:8080 for the whole network
  --from WHAT        what pip installs edgecnn from: a folder, a wheel or a name; default: the repository this is in
  --dry-run          show what would be done, on any machine, and change nothing
  --force            go on where the system is not one that this was made for
END
}

readonly NAME=edgecnn SERVICE=edgecnn-camera
readonly OPT=/opt/edgecnn ETC=/etc/edgecnn VAR=/var/lib/edgecnn
readonly PYTHON=$OPT/venv/bin/python UNIT=/etc/systemd/system/$SERVICE.service
readonly FACTS=${EDGECNN_FACTS:-} # tests put another system's os-release and meminfo below this folder
HERE=$(cd "$(dirname "$0")" && pwd)
readonly HERE

model='' source='' serve='' from=$HERE/.. action=install purge=no dry=no force=no temporary=''

say() { printf '%s\n' "$*"; }
note() { printf 'Note: %s\n' "$*" >&2; }

stop() {
    if [ $dry = yes ]; then
        printf 'It would stop here: %s\n' "$*" >&2
    else
        printf 'Error: %s\n' "$*" >&2
        exit 1
    fi
}

# Does what it is given, or shows it.
run() {
    if [ $dry = yes ]; then
        printf '+ %s\n' "$*"
    else
        "$@"
    fi
}

as_service() { run runuser -u $NAME -- env -C / HOME=$VAR "$@"; }

pip_install() { # wheels only: compiling takes hours and more memory than a small board has
    run env TMPDIR=/var/tmp "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-cache-dir \
        --only-binary=:all: "$@"
}

read_options() {
    while [ $# -gt 0 ]; do
        case $1 in
        --source | --serve | --from)
            [ $# -ge 2 ] || { usage >&2 && exit 2; }
            case $1 in
            --source) source=$2 ;;
            --serve) serve=$2 ;;
            --from) from=$2 ;;
            esac
            shift
            ;;
        --uninstall) action=uninstall ;;
        --purge) purge=yes ;;
        --dry-run) dry=yes ;;
        --force) force=yes ;;
        -h | --help) usage && exit 0 ;;
        -*) printf 'Error: unknown option %s\n' "$1" >&2 && usage >&2 && exit 2 ;;
        *) model=$1 ;;
        esac
        shift
    done
    case $source in *[\"\\]* | *$'\n'*) stop "--source: expected no quotes or backslashes, got $source" ;; esac
    if [ -n "$serve" ] && ! [[ $serve =~ ^(([0-9A-Za-z._-]*|\[[0-9A-Fa-f:.]+\]):)?[0-9]{1,5}$ ]]; then
        stop "--serve: expected HOST:PORT such as 0.0.0.0:8080, got $serve"
    fi
}

check_system() {
    [ "$(id -u)" = 0 ] || [ $dry = yes ] || stop "must run as root; type: sudo $0 ..."
    if [ "$(uname -s)" != Linux ] || [ "$(uname -m)" != aarch64 ]; then
        unfit "expected 64-bit ARM Linux, got $(uname -sm); write Raspberry Pi OS (64-bit) to the card"
    elif [ "$(getconf LONG_BIT)" != 64 ]; then
        unfit "the kernel is 64-bit but the programs are 32-bit; write Raspberry Pi OS (64-bit) to the card"
    fi
    system=$(sed -n 's/^PRETTY_NAME=//p' "$FACTS/etc/os-release" | tr -d '"')
    codename=$(sed -n 's/^VERSION_CODENAME=//p' "$FACTS/etc/os-release")
    case $(sed -n 's/^ID=//p' "$FACTS/etc/os-release"):$codename in
    debian:bookworm | debian:trixie) ;;
    *) unfit "expected Raspberry Pi OS or Debian, bookworm or trixie, got ${system:-an unknown system}" ;;
    esac
    local memory
    memory=$(awk '/^MemTotal:/ {print int($2 / 1024)}' "$FACTS/proc/meminfo")
    if [ "$memory" -lt 1100 ]; then # Zero 2 W: 512 MB, Pi 3: 1 GB
        note "$memory MB of memory: let nothing else run; size = [640, 480] in $ETC/config.toml helps"
    fi
}

unfit() {
    if [ $force = yes ]; then note "$1 (going on: --force)"; else stop "$1"; fi
}

check_model() {
    if [ -n "$model" ]; then
        [ -f "$model" ] || stop "no model $model; expected the .tflite that edgecnn convert wrote"
    elif [ ! -f $OPT/model.tflite ]; then
        stop "which model? type: sudo $0 MODEL.tflite"
    fi
}

# The value of a text setting in the configuration that is installed, or nothing.
configured() { sed -n "s/^$1 *= *\"\([^\"]*\)\".*/\1/p" $ETC/config.toml 2>/dev/null || true; }

uses_csi() { [[ ${source:-$(configured source)} =~ ^(picamera.*)?$ ]]; }

install_packages() {
    local wanted=(python3-venv) missing=() package
    if uses_csi; then wanted+=(python3-picamera2); fi
    for package in "${wanted[@]}"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return
    say "Installing ${missing[*]}"
    run apt-get update -qq
    run env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" ||
        stop "apt cannot install ${missing[*]}; only Raspberry Pi OS has picamera2: elsewhere add --source 0"
}

make_user() {
    id $NAME >/dev/null 2>&1 ||
        run useradd --system --user-group --home-dir $VAR --no-create-home --shell /usr/sbin/nologin $NAME
    local group
    for group in video render; do
        if getent group $group >/dev/null; then run usermod -aG $group $NAME; fi
    done
}

install_python() {
    say "Installing edgecnn into $OPT/venv"
    run mkdir -p $OPT $ETC
    local versions='import sys; print(*sys.version_info[:2])' what=$from
    # The system's Python, because picamera2 is bound to it. After an upgrade of the system it is another one.
    if [ "$($PYTHON -c "$versions" 2>/dev/null)" != "$(/usr/bin/python3 -c "$versions" 2>/dev/null)" ]; then
        run /usr/bin/python3 -m venv --clear --system-site-packages $OPT/venv
    fi
    if [ -d "$from" ]; then # built from a copy, so that root leaves nothing in the checkout
        what=$temporary/edgecnn
        run mkdir "$what"
        run cp -R "$from"/{pyproject.toml,setup.py,README.md,LICENSE,edgecnn} "$what"
    fi
    pip_install --upgrade "${what}[serve]"
    if [ "${codename:-}" = bookworm ] && uses_csi; then
        # Debian's is built for NumPy 1; picamera2 imports it: "numpy.dtype size changed".
        pip_install --upgrade --ignore-installed --no-deps simplejpeg
    fi
}

# Everything the service needs works, as the user that it runs as; only then the model takes its place.
check_installed() {
    say "Checking"
    local tried=$OPT/model.tflite
    local draw='import sys, cv2, numpy; cv2.imwrite(sys.argv[1], numpy.full((480, 640, 3), 90, "uint8"))'
    run "$PYTHON" -c "$draw" "$temporary/gray.png"
    if [ -n "$model" ]; then
        tried=$temporary/model.tflite
        run install -m 0644 "$model" "$tried"
    fi
    as_service "$PYTHON" -m edgecnn doctor
    as_service "$PYTHON" -m edgecnn predict "$tried" "$temporary/gray.png" ||
        stop "the model cannot be used; a model that edgecnn convert wrote brings its labels and preprocessing along"
    if uses_csi; then
        as_service "$PYTHON" -c 'import picamera2' || stop "picamera2 cannot be imported; see the table in README.md"
    fi
    if [ -n "$model" ]; then run install -m 0644 "$model" $OPT/model.tflite; fi
}

# The program is replaced unless its owner changed it: that is where their own code is.
place_program() {
    local target=$OPT/app.py shipped=$OPT/.app.py.shipped
    if [ -f $target ] && ! cmp -s $target $shipped && ! cmp -s $target "$HERE/app.py"; then
        run install -m 0644 "$HERE/app.py" $target.new
        note "$target has changes of yours and stays; the new one is $target.new"
    else
        run install -m 0644 "$HERE/app.py" $target
        run install -m 0644 "$HERE/app.py" $shipped
    fi
    run install -m 0644 "$HERE/README.md" $OPT/README.md
}

# Settings are kept; only what the command line says is changed in them.
place_settings() {
    local target=$ETC/config.toml
    if [ -f $target ]; then
        run install -m 0640 -g $NAME "$HERE/config.toml" $target.new
        note "$target is kept; the new defaults are in $target.new"
    else # network cameras have passwords in their address
        run install -m 0640 -g $NAME "$HERE/config.toml" $target
    fi
    if [ -n "$source" ]; then set_text source "$source"; fi
    if [ -n "$serve" ]; then set_text serve "$serve"; fi
    case ${serve:-$(configured serve)} in
    '' | 127.* | localhost:* | '[::1]':* | :*) return ;;
    *:*) ;;
    *) return ;; # a port alone
    esac
    if [ ! -s $ETC/token ]; then
        say "Making a token in $ETC/token"
        run install -m 0640 -g $NAME /dev/null $ETC/token
        [ $dry = yes ] || head -c 24 /dev/urandom | base64 | tr '+/' '-_' >$ETC/token
    fi
    if [ -z "$(configured token_file)" ]; then set_text token_file $ETC/token; fi
}

set_text() { # set_text KEY VALUE: replaces the line of this key, or adds it at the top, before any table
    local target=$ETC/config.toml value
    value=$(printf '%s' "$2" | sed 's/[&|]/\\&/g')
    if [ $dry = yes ] || grep -q "^$1 *=" $target; then
        run sed -i "s|^$1 *=.*|$1 = \"$value\"|" $target
    else
        run sed -i "1i $1 = \"$value\"" $target
    fi
}

start_service() {
    run install -m 0644 "$HERE/$SERVICE.service" $UNIT
    run systemctl daemon-reload
    run systemctl enable --quiet $SERVICE
    say "Starting $SERVICE"
    run systemctl restart $SERVICE || {
        journalctl -u $SERVICE -n 15 --no-pager -o cat || true
        stop "the service did not start; it tries again every 10 s. See the table in README.md"
    }
}

tell() {
    local address token='' host port
    address=${serve:-$(configured serve)}
    [ -s $ETC/token ] && [ $dry = no ] && token="?token=$(cat $ETC/token)"
    port=${address##*:} host=${address%"$port"}
    case $host in
    '' | : | 127.*) host=localhost: token='' ;;
    0.0.0.0: | '[::]:') host=$(hostname -I | cut -d' ' -f1): ;;
    esac
    say "The service runs, and starts with the board."
    if [ -n "$port" ]; then say "Page:     http://$host$port/$token"; fi
    if [ "$host" = localhost: ]; then
        say "          from another computer: ssh -L $port:localhost:$port $(hostname), then open it there"
    fi
    say "Labels:   journalctl -u $SERVICE -f"
    say "Settings: sudo nano $ETC/config.toml; sudo systemctl restart $SERVICE"
}

uninstall() {
    [ "$(id -u)" = 0 ] || [ $dry = yes ] || stop "must run as root; type: sudo $0 --uninstall"
    if [ -f $UNIT ]; then run systemctl disable --now $SERVICE; fi
    run rm -rf $UNIT $OPT
    run systemctl daemon-reload
    if [ $purge = yes ]; then
        run rm -rf $ETC $VAR
        if id $NAME >/dev/null 2>&1; then run userdel $NAME; fi
        say "Removed. Packages that apt installed stay."
    else
        say "Removed. Settings in $ETC and what was seen in $VAR stay; --purge removes them too."
    fi
}

read_options "$@"
if [ $action = uninstall ]; then
    uninstall
    exit
fi
check_system
check_model
temporary=$(mktemp -d /var/tmp/edgecnn.XXXXXX)
trap 'rm -rf "$temporary"' EXIT
chmod 755 "$temporary"
say "edgecnn camera on $system"
install_packages
make_user
install_python
check_installed
place_program
place_settings
start_service
tell

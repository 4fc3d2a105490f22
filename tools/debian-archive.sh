# shellcheck shell=bash disable=SC2154
# Packages from a Debian suite of one's choice, without touching this machine's own apt: read by worker-root.sh and
# reference-readers.sh with `.`. Trust is the archive's keyring. The caller sets `label` (for messages), `SUITE` and `arch`,
# defines say and die, and removes the folder $work when it ends.

# A private apt: own lists, cache and sources; the machine's proxies and transports stay in force.
apt_private() {
	local tool=$1
	shift
	"$tool" --config-file "$work/apt.conf" -q "$@"
}

write_apt_conf() {
	mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial"
	: >"$work/status"
	cat >"$work/apt.conf" <<EOF
Dir::State "$work/state";
Dir::State::status "$work/status";
Dir::Cache "$work/cache";
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
APT::Architecture "$arch";
APT::Architectures "$arch";
APT::Get::List-Cleanup "false";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
EOF
}

# Where this machine gets Debian from. The order of the sources decides; the archive keyring decides what is Debian.
mirrors() {
	# shellcheck disable=SC2016  # apt fills these in
	apt-get indextargets --no-release-info --format '$(SITE) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
		awk '$2 == "main" && $1 !~ /security/ && !seen[$1]++ { print $1 }'
}

open_archive() {
	local keyring=/usr/share/keyrings/debian-archive-keyring.gpg mirror
	[ -f "$keyring" ] || die "$keyring is missing; install debian-archive-keyring"
	work=$(mktemp -d "${TMPDIR:-/tmp}/secai-archive.XXXXXXXX")
	chmod 0755 "$work"
	write_apt_conf
	for mirror in $(mirrors); do
		printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$mirror" "$SUITE" >"$work/sources.list"
		if apt_private apt-get update --error-on=any >"$work/update.log" 2>&1; then
			return 0
		fi
	done
	[ ! -f "$work/update.log" ] || sed "s/^/$label:   /" "$work/update.log" >&2
	die "none of this machine's apt sources offers Debian's suite '$SUITE' with a good signature." \
		"Expected: a network and a Debian mirror in /etc/apt; then run this again."
}

# Downloads name=version … into $work/debs; apt checks each against the signed index.
download() {
	mkdir -p "$work/debs"
	if [ "$(id -u)" = 0 ] && id _apt >/dev/null 2>&1; then
		chown _apt "$work/debs"
	fi
	(cd "$work/debs" && apt_private apt-get download "$@" >"$work/download.log" 2>&1) || {
		sed "s/^/$label:   /" "$work/download.log" >&2
		return 1
	}
}

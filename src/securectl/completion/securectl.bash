# bash completion for securectl

_securectl_ids() { # COMMAND: first words of its list
	local root=() i
	for ((i = 2; i < COMP_CWORD - 1; i++)); do
		[[ ${COMP_WORDS[i]} == --state-root ]] && root=(--state-root "${COMP_WORDS[i + 1]}")
	done
	securectl "$1" "${root[@]}" 2>/dev/null | awk 'NF > 2 && $1 ~ /^[0-9a-f]+$/ { print $1 }'
}

_securectl_options() {
	case $1 in
	up) echo "--state-root --port --no-tcp --worker-root --json --help" ;;
	down) echo "--state-root --help" ;;
	scan) echo "--stages --sarif --tensors --explain --json --state-root --help" ;;
	compare) echo "--old-file --new-file --json --state-root --help" ;;
	verify) echo "--key --policy-dir --bundle --builder --statement --json --state-root --help" ;;
	sign) echo "--key --output --json --state-root --help" ;;
	keys) echo "--type --json --state-root --help" ;;
	import) echo "--detach --signature --json --state-root --help" ;;
	models) echo "--yes --out --json --state-root --help" ;;
	jobs) echo "--out --json --state-root --help" ;;
	chat) echo "--model --system --temperature --max-tokens --seed --json --state-root --help" ;;
	audit) echo "--lines --json --state-root --help" ;;
	*) echo "--json --state-root --help" ;;
	esac
}

_securectl_words() { # COMMAND, word before the cursor: what may follow
	case $1,$2 in
	models,models) echo "list show verify documents delete" ;;
	models,show | models,verify | models,documents | models,delete | chat,-m | chat,--model) _securectl_ids models ;;
	jobs,jobs) echo "list show retry documents delete" ;;
	jobs,show | jobs,retry | jobs,documents | jobs,delete) _securectl_ids jobs ;;
	keys,keys) echo "list new show" ;;
	keys,--type) echo "p256 ed25519" ;;
	keys,show | sign,-k | sign,--key) securectl keys 2>/dev/null | awk 'NF == 2 { print $1 }' ;;
	audit,audit) echo "verify tail" ;;
	scan,--stages) echo "1-5 1-7" ;;
	explain,* | scan,--explain) securectl explain 2>/dev/null | awk '{ print $1 }' ;;
	esac
}

_securectl() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}
	COMPREPLY=()
	if [[ $COMP_CWORD -eq 1 ]]; then
		mapfile -t COMPREPLY < <(compgen -W "up down status scan compare explain verify sign keys import models jobs chat audit --help --version" -- "$word")
		return
	fi
	case $before in
	--state-root | --worker-root | --out)
		mapfile -t COMPREPLY < <(compgen -d -- "$word")
		return
		;;
	esac
	if [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_securectl_options "$command")" -- "$word")
	elif [[ $command == scan && $before != --stages && $before != --explain ]] ||
		[[ $command == import || $command == verify ]] ||
		[[ $command == sign && $before != --key && $before != -k ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
	else
		mapfile -t COMPREPLY < <(compgen -W "$(_securectl_words "$command" "$before")" -- "$word")
	fi
}
complete -o filenames -F _securectl securectl

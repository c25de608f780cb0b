# SPDX-License-Identifier: MIT
# bash completion for stoker(1): verbs, and options as "stoker VERB --help" lists them.
# shellcheck shell=bash
_stoker() {
	local word=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]}
	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W "$(stoker --help | sed -n 's/^  \([a-z]*\) .*/\1/p')" -- "$word")
	elif [[ $word == -* && $verb == bench && ${COMP_WORDS[2]} == serve ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(stoker bench serve --help 2>/dev/null | grep -oE -- '--[a-z-]+')" -- "$word")
	elif [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(stoker "$verb" --help 2>/dev/null | grep -oE -- '--[a-z-]+')" -- "$word")
	elif [[ $verb == bench && $COMP_CWORD == 2 ]]; then
		mapfile -t COMPREPLY < <(compgen -W "model batch ops formats limits shaders store grammar serve" -- "$word")
	elif [[ ${COMP_WORDS[COMP_CWORD - 1]} == --template ]]; then
		mapfile -t COMPREPLY < <(compgen -f -W "$(stoker template --template '?' 2>&1 | sed -n 's/.*, or one of //p' | tr -d ,)" -- "$word")
		compopt -o filenames 2>/dev/null
	elif [[ $verb == quantize && $COMP_CWORD -ge 4 && $word != */* ]]; then
		mapfile -t COMPREPLY < <(compgen -f -W "$(stoker quantize --help | tr '\n' ' ' | sed 's/.*TYPE is one of//; s/\. .*//')" -- "$word")
		compopt -o filenames 2>/dev/null
	elif [[ $verb == rm ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(stoker list 2>/dev/null | sed -n '2,$s/  .*//p')" -- "$word")
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		compopt -o filenames 2>/dev/null
	fi
}
complete -F _stoker stoker

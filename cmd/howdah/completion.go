package main

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// runCompletion prints what teaches a shell the commands.
func runCompletion(_ context.Context, args []string, stdout, _ io.Writer) error {
	if len(args) != 1 {
		return &usageError{"completion", "the shell is missing: bash, zsh or fish"}
	}
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	names = append(names, "help")
	var text string
	switch args[0] {
	case "bash":
		text = fmt.Sprintf(bashCompletion, strings.Join(names, " "))
	case "zsh":
		text = fmt.Sprintf("#compdef howdah\nautoload -U +X bashcompinit && bashcompinit\n"+bashCompletion, strings.Join(names, " "))
	case "fish":
		var b strings.Builder
		b.WriteString("complete -c howdah -f\n")
		for _, c := range commands() {
			fmt.Fprintf(&b, "complete -c howdah -n __fish_use_subcommand -a %s -d '%s'\n", c.name, strings.ReplaceAll(c.summary, "'", `\'`))
		}
		b.WriteString("complete -c howdah -n 'not __fish_use_subcommand' -s c -r -F\n")
		text = b.String()
	default:
		return &usageError{"completion", fmt.Sprintf("%q is no shell that is known: bash, zsh or fish", args[0])}
	}
	_, err := io.WriteString(stdout, text)
	return err
}

// bashCompletion completes commands, then nodes where one is meant, levels, flags and files.
const bashCompletion = `_howdah() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
	if [ "$COMP_CWORD" -eq 1 ]; then
		COMPREPLY=($(compgen -W '%s' -- "$word"))
		return
	fi
	case $before in
	-c|-o|--socket|--hba|--passwd|--pcp|--key) COMPREPLY=($(compgen -f -- "$word")); return ;;
	attach|detach|promote|switchover|recover)
		COMPREPLY=($(compgen -W "$(howdah nodes 2>/dev/null | awk 'NR > 1 { print $2 }')" -- "$word")); return ;;
	log-level) COMPREPLY=($(compgen -W 'debug info warn error' -- "$word")); return ;;
	stop) COMPREPLY=($(compgen -W 'smart fast immediate' -- "$word")); return ;;
	esac
	case $word in
	-*) COMPREPLY=($(compgen -W '-c --socket --url --user --json --watch --show' -- "$word")) ;;
	*) COMPREPLY=($(compgen -f -- "$word")) ;;
	esac
}
complete -F _howdah howdah
`

#!/bin/bash
# SPDX-License-Identifier: MIT
# Conversations with models whose words are known, through pipes and terminals.  usage: chat.sh BUILD
set -u
stoker=$1/stoker scripted=$1/scripted terminal=$1/terminal
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# shellcheck source=tests/e2e/results.sh
. tests/e2e/results.sh
export TERM=xterm LC_ALL=C
unset NO_COLOR

chatml="{% for m in messages %}{{'<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
printf '%s' "$chatml" >"$scratch/chatml"
"$scripted" "$scratch/plain.gguf" 512 "$scratch/chatml" '\n=Hello, ~world. ~42 😀~<|im_end|>'
"$scripted" "$scratch/wide.gguf" 4096 "$scratch/chatml" '\n=Hello, ~world. ~42 😀~<|im_end|>'
"$scripted" "$scratch/think.gguf" 256 "$scratch/chatml" '\n=<think>~secret ~thought~</think>~ Answer 7~<|im_end|>'
"$scripted" "$scratch/endless.gguf" 40000 "$scratch/chatml" '\n=begun ~and on ~and on and ~^'
"$scripted" "$scratch/control.gguf" 256 "$scratch/chatml" $'\\n=\e]0;x\a~\xe2\x80\xaeevil~<|im_end|>'
"$scripted" "$scratch/bare.gguf" 256 - '\n=x~<|im_end|>'
"$scripted" "$scratch/end.gguf" 256 "$scratch/chatml" +add_eos '\n=Hello, ~world. ~42 😀~<|im_end|>' 'a=b~c~d'
"$scripted" "$scratch/long.gguf" 512 "$scratch/chatml" '\n=<think>~a ~b ~c ~d ~e ~f ~</think>~ Answer 7~<|im_end|>'
"$scripted" "$scratch/seed.gguf" 512 "$scratch/chatml" '\n=<seed:think>~a ~b ~c ~d ~</seed:think>~ Answer 7~<|im_end|>'
printf '%s' "${chatml/assistant\\n/assistant\\n<think>\\n}" >"$scratch/opens"
"$scripted" "$scratch/opens.gguf" 512 "$scratch/opens" '\n=a ~b ~c ~</think>~ Answer 7~<|im_end|>' 'x=<think>'
"$scripted" "$scratch/hot.gguf" 512 "$scratch/chatml" +temp=1000 +top_p=1 +min_p=0 '\n=Hello, ~world. ~42 😀~<|im_end|>'
"$scripted" "$scratch/wrong.gguf" 512 "$scratch/chatml" +temp=-1 '\n=Hello, ~world. ~42 😀~<|im_end|>'

# chat NAME MODEL INPUT OPTION...: through a pipe; $out, $err and $status are what came
chat() {
	local model=$scratch/$1.gguf input=$2
	shift 2
	printf '%b' "$input" | "$stoker" run -m "$model" --chat --temp 0 -t 1 "$@" >"$scratch/out" 2>"$scratch/err"
	status=$?
	out=$(cat "$scratch/out")
	err=$(cat "$scratch/err")
}
# is NAME TEST...
is() {
	local name=$1
	shift
	if "$@"; then ok "$name"; else
		bad "$name"
		printf '    status %s, output %q, errors %q\n' "$status" "$out" "$err"
	fi
}
# typed NAME COMMAND... < SCRIPT: on a terminal
typed() {
	local name=$1
	shift
	"$terminal" "$@" 2>"$scratch/err"
	case $? in
	0) ok "$name" ;;
	77)
		skipped=$((skipped + 1))
		echo "skipped: $name: $(cat "$scratch/err")"
		;;
	*)
		bad "$name"
		cat "$scratch/err"
		;;
	esac
}
has() { [[ $1 == *"$2"* ]]; }
lacks() { [[ $1 != *"$2"* ]]; }
hello='Hello, world. 42 😀'

chat plain 'hi\n\nthere\n'
is "two turns" [ "$status $out" = "0 $hello"$'\n'"$hello" ]
for model in long seed; do
	for budget in 0 1 2 3 9 -1; do
		case $budget in
		0) thought='' ;;
		1) thought=a ;;
		2) thought='a b' ;;
		*) thought='a b c' ;;
		esac
		chat $model 'hi\n' --reasoning-budget $budget
		is "$model: the answer after a budget of $budget" [ "$status $out" = "0 Answer 7" ]
		is "$model: a budget of $budget" has "$err" "$thought"
		is "$model: tags aren't shown" lacks "$err" "think>"
		((budget < 0 || budget > 2)) || is "$model: no more than $budget" lacks "$err" "c"
	done
done
chat long 'hi\nagain\n/retry\n' --reasoning-budget 2 --reasoning-budget-message 'enough.'
is "three answers with a budget each" [ "$status $out" = "0 Answer 7"$'\n'"Answer 7"$'\n'"Answer 7" ]
is "what is said before the end" [ "$(grep -o 'enough\.' <<<"$err" | wc -l)" = 3 ]
is "no more than the budget" lacks "$err" "c"
chat opens 'hi\n/retry\n' --reasoning-budget 2
is "reasoning that the template begins" [ "$status $out" = "0 Answer 7"$'\n'"Answer 7" ]
is "it has the budget each time" [ "$(grep -c '^a b *$' <<<"$err") $(grep -c c <<<"$err")" = "2 0" ]
chat opens 'hi\n' --reasoning-budget 0
is "none at all" [ "$status $out$err" = "0 Answer 7" ]
chat plain 'say <think>\n' --reasoning-budget 0
is "a tag that somebody types begins nothing" [ "$status $out$err" = "0 $hello" ]
"$stoker" run -m "$scratch/opens.gguf" -p $'x<think>\n' --reasoning-budget 1 --temp 0 -t 1 >"$scratch/out" 2>"$scratch/err"
status=$? out=$(cat "$scratch/out")
is "reasoning that the prompt begins" [ "$status $out" = $'0 x<think>\na </think> Answer 7' ]
"$stoker" run -m "$scratch/opens.gguf" -p $'<think> is what?\n' --reasoning-budget 1 --temp 0 -t 1 >"$scratch/out" 2>"$scratch/err"
status=$? out=$(cat "$scratch/out")
is "a question about it" [ "$status $out" = $'0 <think> is what?\na b c </think> Answer 7' ]
chat hot 'hi\n'
is "the command line's temperature counts" [ "$status $out" = "0 $hello" ]
"$stoker" run -m "$scratch/hot.gguf" -p $'hi\n' -n 12 -t 1 --seed 3 >"$scratch/out" 2>"$scratch/err"
status=$? out=$(tr -d '\0' <"$scratch/out")
is "then the file's" lacks "$out" "$hello"
"$stoker" run -m "$scratch/wrong.gguf" -p $'hi\n' -n 12 -t 1 >"$scratch/out" 2>"$scratch/err"
status=$? err=$(cat "$scratch/err")
is "a file's temperature that can't be" [ $status = 1 ]
is "it is named" has "$err" "wrong.gguf: key general.sampling.temp is -1, limits 0"
chat plain 'hi\nthere\n' --stats
is "what was there isn't computed again" grep -q "^prompt  *26 tokens.*; 2[0-9] more were there" "$scratch/err"
chat plain 'Hi\n' --state "$scratch/state"
is "a conversation whose context is saved" test "$status" = 0 -a -s "$scratch/state"
chat plain 'Hi\n' --state "$scratch/state" --stats
is "what was saved isn't computed again" grep -q "^prompt  *1 tokens.* more were there" "$scratch/err"
chat plain ''
is "no input" [ "$status$out$err" = 0 ]
chat plain 'hi'
is "a last line without an end" [ "$status $out" = "0 $hello" ]
chat plain 'hi\r\n/quit\r\nnever\r\n'
is "CRLF" [ "$status $out" = "0 $hello" ]
"$stoker" run -m "$scratch/plain.gguf" --chat --temp 0 -t 1 <&- >"$scratch/out" 2>"$scratch/err"
status=$? out=$(cat "$scratch/out") err=$(cat "$scratch/err")
is "standard input is closed" [ "$status$out$err" = 0 ]
chat plain 'a\\\nb\n/save '"$scratch"'/a.json\n'
is "a line goes on behind a backslash" grep -qF '"content": "a\nb"' "$scratch/a.json"
is "what is saved is its owner's" [ "$(stat -c %a "$scratch/a.json")" = 600 ]
chat plain '"""one\n/two\nthree"""\n//four\nfive\\\\\n/save '"$scratch"'/b.json\n'
is "a text of several lines, a slash, two backslashes" [ "$(grep -c -e '"one\\n/two\\nthree"' -e '"/four"' -e '"five\\\\\\\\"' "$scratch/b.json")" = 3 ]
# many short lines cost no more than few long ones
{
	yes '' | head -n 1000000
	printf '"""'
	yes a | head -n 800000
	printf '"""\nhi\n'
} | (
	ulimit -t 10
	"$stoker" run -m "$scratch/plain.gguf" --chat --temp 0 -t 1
) >"$scratch/out" 2>"$scratch/err"
status=$? out=$(cat "$scratch/out") err=$(cat "$scratch/err")
is "a turn of many lines" [ "$status $out" = "1 $hello" ]
is "it is too long" has "$err" "it isn't sent"
printf 'aba' | "$stoker" tokenize -m "$scratch/plain.gguf" --json >"$scratch/out" 2>"$scratch/err"
status=$? out=$(tr -d ' \n' <"$scratch/out") err=$(cat "$scratch/err")
is "tokens that come again in JSON" has "$out" '{"id":97,"text":"a"},{"id":98,"text":"b"},{"id":97,"text":"a"}]'
chat plain 'caf\xe9 \xff na\xc3\xafve\n/save '"$scratch"'/c.json\n'
is "what isn't UTF-8" grep -qF $'"caf\xef\xbf\xbd \xef\xbf\xbd na\xc3\xafve"' "$scratch/c.json"
chat plain '/juggle now\nhi\n'
is "an unknown command" [ "$status $out" = "1 $hello" ]
is "an unknown command is named" has "$err" 'no command "/juggle"'
chat plain '/help\n'
is "help" has "$err" "/system TEXT"
chat plain '/stats\nhi\n/stats\n'
is "figures only of turns that ran" [ "$(grep -c "^text  *3 tokens" "$scratch/err") $(grep -c "no answer yet" "$scratch/err")" = "1 1" ]
chat plain '/system Be brief.\nhi\n/system -\n/system\n'
is "the system message is taken away" has "$err" "none was given"
chat plain '/system Be brief.\nhi\n/system\n/clear\nho\n/retry\n/save '"$scratch"'/d.json\n'
is "retry answers again" [ "$out" = "$hello"$'\n'"$hello"$'\n'"$hello" ]
is "the system message stays, the rest is cleared" [ "$(grep -o '"content": .*"' "$scratch/d.json" | tr -d '\n')" = "\"content\": \"Be brief.\"\"content\": \"ho\"\"content\": \"$hello\"" ]
chat plain "/load $scratch/d.json\n/retry\n/save\n"
is "loading" [ "$status $out" = "0 $hello" ]
echo '[{"role": 1}]' >"$scratch/hostile.json"
chat plain "/load $scratch/hostile.json\n/load $scratch/none\n/load\n/save /dev/full\nhi\n"
is "what can't be loaded" [ "$status $out" = "1 $hello" ]
is "why it can't" has "$err" "hostile.json: message 1"
chat plain '/retry\n/save\n/clear all\n'
is "commands that can't be done" [ "$status $(wc -l <"$scratch/err")" = "1 3" ]

# reasoning
chat think 'hi\n'
is "the answer alone is on standard output" [ "$status $out" = "0 Answer 7" ]
is "reasoning is beside it" [ "$err" = "secret thought" ]
chat think 'hi\nho\n' --hide-reasoning
is "hidden reasoning" [ "$status $out$err" = $'0 Answer 7\nAnswer 7' ]
chat think 'hi\n/save '"$scratch"'/e.json\n'
is "reasoning is kept apart" grep -qF '"reasoning_content": "secret thought"' "$scratch/e.json"

# a tag in the middle of an answer is what the answer is about
"$scripted" "$scratch/about.gguf" 256 "$scratch/chatml" '\n=The ~<think>~ tag~<|im_end|>'
chat about 'hi\n'
is "an answer about tags" [ "$status $out$err" = "0 The <think> tag" ]
# longer than the context
chat think "$(for i in 1 2 3 4 5 6 7 8; do printf 'question number %s\\n' $i; done)" --hide-reasoning --stats
is "old turns give way" [ "$status $(grep -c '^Answer 7$' "$scratch/out")" = "0 8" ]
is "it is said once" [ "$(grep -c 'longer than the context of 256' "$scratch/err")" = 1 ]
chat think "hi\n$(printf 'x%.0s' {1..300})\n/save $scratch/f.json\nho\n" --stats --hide-reasoning
is "a turn that is too long" [ "$status $out" = $'1 Answer 7\nAnswer 7' ]
is "both figures" has "$err" "has room for 256"
is "it isn't kept" [ "$(grep -c '"role"' "$scratch/f.json")" = 2 ]
is "figures of the turn that ran" grep -q "^text  *5 tokens" "$scratch/err"
{
	printf '[{"role":"system","content":"Stay."}'
	for i in {1..3000}; do printf ',{"role":"user","content":"question %s"},{"role":"assistant","content":"answer"}' "$i"; done
	printf ']'
} >"$scratch/long.json"
SECONDS=0
chat think "/load $scratch/long.json\nhi\n" --hide-reasoning --stats
is "a long conversation is loaded" [ "$status $out" = "0 Answer 7" ]
is "its last turns are used" grep -qE "^prompt  *(1[0-9][0-9]|[5-9][0-9]) tokens" "$scratch/err"
is "it takes no time" [ $SECONDS -lt 15 ]
chat endless 'go\nagain\n' -c 64
is "an answer that fills the context" has "$err" "the context of 64 tokens is full"

# what goes on beyond it is what a longer context has
chat endless 'go\n' -n 200
all=$out
chat endless 'go\n' -c 64 -n 200 --shift --stats
is "an answer longer than the context" [ "$status $out" = "0 $all" ]
is "all of it was generated" grep -q "^text  *200 tokens" "$scratch/err"
is "it is said once that tokens are taken out" [ "$(grep -c 'context of 64 tokens is full; .* oldest tokens' "$scratch/err")" = 1 ]
chat endless 'go\n' -n 120
all=$out
chat endless 'go\nagain\n' -c 256 -n 120 --shift
is "an answer for which a turn gives way" [ "$status $out" = "0 $all"$'\n'"$all" ]
is "it is said once that turns are left out" [ "$(grep -c 'its oldest turns are left out' "$scratch/err") $(wc -l <"$scratch/err")" = "1 1" ]
chat plain "$(printf 'x%.0s' {1..700})\\nho\\n" --shift
is "a turn that is longer than the context" [ "$status $out" = "0 $hello"$'\n'"$hello" ]
for context in 64 40000; do
	"$stoker" run -m "$scratch/endless.gguf" -p "$(printf 'x%.0s' {1..100})"$'\n' -c $context -n 200 --shift --temp 0 -t 1 >"$scratch/out.$context" 2>"$scratch/err"
	status=$? out=$(tail -c 100 "$scratch/out.$context") err=$(cat "$scratch/err")
	is "a text, context $context" [ "$status $(wc -l <"$scratch/err")" = "0 $((context == 64))" ]
done
is "a text goes on likewise" cmp "$scratch/out.64" "$scratch/out.40000"
chat endless 'go\n' -c 8 -n 20 --shift
is "too small a context to shift" has "$err" "too small for --shift"
chat endless 'go\n' -c 64 -n 100 --shift --kv-k q4_0
is "keys that can't be shifted" has "$err" "keys in Q4_0 can't be turned"

# ends that a file wants added stay away from a prompt that goes on
chat end 'hi\n'
is "no end before the answer" [ "$status $out" = "0 $hello" ]
"$stoker" run -m "$scratch/end.gguf" -p a -n 3 --temp 0 -t 1 >"$scratch/out" 2>"$scratch/err"
status=$? out=$(cat "$scratch/out")
is "no end before the text that goes on" [ "$status $out" = "0 abcd" ]

# templates
completed() { (PATH=$(dirname "$(realpath "$stoker")"):$PATH; . tools/completion/stoker.bash; COMP_WORDS=(stoker run --template "$1") COMP_CWORD=3; _stoker; echo "${COMPREPLY[*]}"); }
is "names of templates are completed" [ "$(completed chat 2>/dev/null)" = chatml ]
chat bare 'hi\n'
is "no template" [ $status = 1 ]
is "what to do without" has "$err" "the file has no chat template; --template takes a file, or one of"
chat bare 'hi\n' --template chatml
is "a template by name" [ "$status $out" = "0 x" ]
chat bare 'hi\n' --template juggler
is "no such template" has "$err" "juggler: neither a file nor the name of a template"
printf '{%% if x %%}\n{%% juggle %%}' >"$scratch/broken"
"$scripted" "$scratch/broken.gguf" 256 "$scratch/broken" '\n=x~<|im_end|>'
chat broken 'hi\n'
is "a template that can't be run" has "$err" "line 2"
is "what to do then" has "$err" "--template takes a file"
chat broken 'hi\n' --template "$scratch/chatml"
is "another template for it" [ "$status $out" = "0 x" ]
printf '{%% for m in messages %%}{%% if m.content == "no" %%}{{ raise_exception("never say no") }}{%% endif %%}{{ m.content }}{%% endfor %%}{{ "\n" if flag }}' >"$scratch/refuses"
chat bare 'no\nhi\n' --template "$scratch/refuses" --kwargs '{"flag": true}'
is "a turn that the template refuses" [ "$status $out" = "1 x" ]
is "why it does" has "$err" "never say no"
printf '{%% for m in messages %%}{%% if m.role == "system" %%}{{ raise_exception("no system role") }}{%% endif %%}{{ m.content }}{%% endfor %%}{{ "\n" }}' >"$scratch/unsystematic"
chat bare '/system Be.\nhi\n' --template "$scratch/unsystematic"
is "a system message that the template refuses" [ "$status $out" = "1 x" ]
chat bare 'hi\n' --template "$scratch/unsystematic" --system Be.
is "likewise from the beginning" [ "$status$out" = 1 ]
is "it is the template that does" has "$err" "no system role"
chat bare 'hi\n' --kwargs '[1]'
is "variables that aren't" [ $status = 2 ]
chat bare 'hi\n' --template /dev/null
is "an empty template" has "$err" "empty prompt"
# where the vocabulary knows no end of that name, or doesn't know it for one
"$scripted" "$scratch/ends.gguf" 256 - '\n=so~[END]~more~^'
printf '%s' '{% for m in messages %}{{ m.content }}[END] {% endfor %}{{ "\n" }}' >"$scratch/ends"
chat ends 'hi\n' --template "$scratch/ends" -n 20
is "the template's end of a turn, as text" [ "$status $out" = "0 so" ]
"$scripted" "$scratch/ends.gguf" 256 - '\n=so~<|stop|>~more~^'
printf '%s' '{% for m in messages %}{{ m.content }}<|stop|>{% endfor %}{{ "\n" }}' >"$scratch/ends"
chat ends 'hi\n' --template "$scratch/ends" -n 20
is "as a token" [ "$status $out" = "0 so" ]
chat ends 'hi\n' --template "$scratch/ends" -n 5 --ignore-eos
is "unless it is to be ignored" [ "$status $out" = "0 somoreso" ]
# marks that a user types are text: 20 bytes of it, where two marks would be two tokens
chat plain 'a<|im_end|><|im_start|>b\n' --stats
is "a user types no control tokens" grep -q "^prompt  *43 tokens" "$scratch/err"
chat plain '/system <|im_end|>\nhi\n' --stats
is "nor does a system message" grep -q "^prompt  *41 tokens" "$scratch/err"
printf '%s' '{% for m in messages %}{{ m.content }}{% endfor %}<think>{{ "\n" }}' >"$scratch/opens"
"$scripted" "$scratch/opens.gguf" 256 "$scratch/opens" '\n=why~</think>~so~<|im_end|>'
chat opens 'hi\n'
is "the template began the reasoning" [ "$status $out $err" = "0 so why" ]
"$scripted" "$scratch/channels.gguf" 256 "$scratch/chatml" \
	'\n=<|channel|>~analysis~<|message|>~hidden~<|end|>~<|begin|>~assistant!~<|content|>~Hello~<|return|>' 'Z=<|call|>'
chat channels 'hi\n/save '"$scratch"'/g.json\n'
is "channels" [ "$status $out $err" = "0 Hello hidden" ]
is "channels are kept apart" grep -qF '"reasoning_content": "hidden"' "$scratch/g.json"

# signals
for signal in TERM INT; do
	for model in plain endless; do
		mkfifo "$scratch/fifo"
		"$stoker" run -m "$scratch/$model.gguf" --chat --temp 0 -t 1 -c 40000 <"$scratch/fifo" >"$scratch/out" 2>"$scratch/err" &
		exec 7>"$scratch/fifo"
		echo hi >&7
		for _ in {1..100}; do
			[ -s "$scratch/out" ] && break
			sleep 0.05
		done
		sleep 0.2
		kill -$signal $!
		[ $signal$model = INTendless ] && sleep 0.2 && kill -$signal $!
		wait $!
		status=$? out=$(head -c 100 "$scratch/out") err=$(cat "$scratch/err")
		exec 7>&-
		rm "$scratch/fifo"
		is "SIG$signal, $model" [ $status = $((128 + $(kill -l $signal))) ]
	done
done

talk=("$stoker" run --chat --temp 0 -t 1)
typed "ten turns on a terminal" "${talk[@]}" -m "$scratch/plain.gguf" <<'END'
expect /help lists commands, Ctrl-D ends
expect > 
send café 你好 😀\n
expect café 你好 😀
expect Hello, world. 42 😀
expect > 
send first\\\nsecond\n
expect Hello, world. 42 😀
expect > 
send """\nthird\n/fourth\n"""\n
expect Hello, world. 42 😀
expect > 
send \e[200~pasted\rin two\e[201~\n
expect Hello, world. 42 😀
expect > 
send //etc\n
expect Hello, world. 42 😀
expect > 
# Ctrl-C clears what was typed; on an empty line it tells how to end
send nonsense
expect nonsense
send \x03
expect > 
send \x03
expect Ctrl-C once more ends
expect > 
send привет\n
expect Hello, world. 42 😀
expect > 
# the line before, edited
send \e[A\x7f\n
expect приве
expect Hello, world. 42 😀
expect > 
send /retry\n
expect Hello, world. 42 😀
expect > 
send /nonsense\n
expect no command "/nonsense"
expect > 
send /system Be brief.\n
expect > 
send שלום عليكم\n
expect Hello, world. 42 😀
expect > 
send e\xcc\x81t\xc3\xa9\n
expect Hello, world. 42 😀
expect > 
send /sta\t
expect ts 
send \n
expect text     3 tokens
expect > 
send \x04
end 0
END
typed "Ctrl-C stops the answer, not the program" "${talk[@]}" -m "$scratch/endless.gguf" -c 40000 <<END
expect > 
send go on\\n
expect and on and 
send \\x03
expect > 
send and again\\n
expect and on and 
send \\x03
expect > 
send /save $scratch/h.json\\n
expect 4 messages
expect > 
send \\x03
expect Ctrl-C once more ends
send \\x03
end 130
END
[ ! -e "$scratch/h.json" ] || is "what came stays in the conversation" grep -q '"begun and on and on and ' "$scratch/h.json"
# libedit is loaded by a conversation at a terminal, and does without it where it can't
LD_DEBUG=files "$stoker" run -m "$scratch/plain.gguf" -p hi -n 2 >"$scratch/out" 2>"$scratch/err"
if ! grep -q 'file=libedit' "$scratch/err"; then ok "run -p loads no libedit"; else bad "run -p loads no libedit"; fi
mkdir "$scratch/libraries"
echo broken >"$scratch/libraries/libedit.so.2"
typed "a terminal without libedit" env LD_LIBRARY_PATH="$scratch/libraries" "${talk[@]}" -m "$scratch/plain.gguf" <<'END'
expect libedit.so.2 can't be loaded, which editing lines needs; it is in the package libedit2
send hi\n
expect Hello, world. 42 😀
send \x04
end 0
END
typed "Ctrl-Z and back" "${talk[@]}" -m "$scratch/plain.gguf" <<'END'
expect > 
send half of
expect half of
send \x1a
stops
kill 18
expect half of
send  it\n
expect Hello, world.
expect > 
send \x04
end 0
END
typed "SIGTERM at the prompt" "${talk[@]}" -m "$scratch/plain.gguf" <<'END'
expect > 
send half a li
expect half a li
kill 15
end 143
END
typed "SIGTERM while an answer comes" "${talk[@]}" -m "$scratch/endless.gguf" -c 40000 <<'END'
expect > 
send go\n
expect and on and 
kill 15
end 143
END
typed "a turn that is too long isn't lost" "${talk[@]}" -m "$scratch/plain.gguf" -c 64 <<'END'
expect > 
send 1234567890 1234567890 1234567890 1234567890 1234567890 1234567890\n
expect has room for 64
expect > 
send \e[A
expect 1234567890 1234567890
send \x15short\n
expect Hello, world.
expect > 
send /quit\n
end 0
END
typed "reasoning is dim" "${talk[@]}" -m "$scratch/think.gguf" <<'END'
expect > 
send hi\n
expect \e[2msecret
expect Answer 7
expect > 
send \x04
end 0
END
NO_COLOR=1 typed "reasoning without colours" "${talk[@]}" -m "$scratch/think.gguf" <<'END'
expect > 
send hi\n
expect (thinking) secret thought
expect Answer 7
never \e[2m
expect > 
send \x04
end 0
END
typed "a long prompt" "${talk[@]}" -m "$scratch/wide.gguf" <<END
expect > 
send $(printf 'x%.0s' {1..400})\\n
expect reading the prompt: 0 of 4
expect Hello, world.
expect > 
send \\x04
end 0
END
typed "hidden reasoning" "${talk[@]}" -m "$scratch/think.gguf" --hide-reasoning <<'END'
expect > 
send hi\n
expect Answer 7
never secret
expect > 
send \x04
end 0
END
typed "control characters are shown" "${talk[@]}" -m "$scratch/control.gguf" <<'END'
expect > 
send hi\n
expect ^[]0;x^G<U+202E>evil
expect > 
send \x04
end 0
END
typed "likewise in a file's name" "$stoker" template --template $'a\e]0;x\a\xe2\x80\xae' <<'END'
expect a^[]0;x^G<U+202E>
end 1
END
typed "likewise in a text that goes on" "$stoker" run "$scratch/control.gguf" -p $'a\e[2J\n' --temp 0 -t 1 <<'END'
expect a^[[2J
expect ^[]0;x^G<U+202E>evil
never \e
end 0
END
"$stoker" run "$scratch/control.gguf" -p $'a\e[2J\n' --temp 0 -t 1 >"$scratch/out" 2>"$scratch/err"
status=$? out=$(cat "$scratch/out")
is "not where no terminal is" [ "$out" = $'a\e[2J\n\e]0;x\a\xe2\x80\xaeevil' ]
# shellcheck disable=SC2016 # $@ is of the inner shell
typed "answers into a file" sh -c '"$@" >"$0"' "$scratch/answers" "${talk[@]}" -m "$scratch/think.gguf" <<'END'
expect > 
send hi\n
expect secret thought
expect > 
send \x04
end 0
END
[ ! -e "$scratch/answers" ] || is "nothing else is in it" [ "$(cat "$scratch/answers")" = "Answer 7" ]
typed "a window that changes" "${talk[@]}" -m "$scratch/plain.gguf" <<'END'
expect > 
send goo
size 30 40
expect goo
send d\n
expect Hello, world.
expect > 
send \x04
end 0
END
typed "windows that change and change while something is written" "${talk[@]}" -m "$scratch/plain.gguf" < <(
	echo "expect > "
	for _ in 1 2 3 4 5; do
		for columns in {40..79}; do
			printf 'send x\nsize 30 %d\n' "$columns"
		done
		printf 'send \\n\nexpect Hello, world.\nexpect > \n'
	done
	printf 'send \\x04\nend 0\n'
)
for locale in C C.UTF-8 POSIX de_DE.UTF-8 tr_TR.UTF-8 xx_YY; do
	typed "typed in the locale $locale" env LC_ALL=$locale "${talk[@]}" -m "$scratch/plain.gguf" <<'END'
expect > 
send café 你好 😀\n
expect café 你好 😀
expect Hello, world. 42 😀
expect > 
send \x04
end 0
END
done
TERM=dumb typed "a terminal that can't do much" "${talk[@]}" -m "$scratch/think.gguf" <<'END'
expect > 
send hi\n
expect (thinking) secret thought
expect Answer 7
expect > 
send \x04
end 0
END
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]

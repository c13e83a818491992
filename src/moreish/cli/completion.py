"""Print a shell completion script.

With the script, Tab completes the verbs, their options, the names of models and bundled lists, and files. For bash, the
package bash-completion finds the script in the folder below. For zsh, the folder of the script must be in fpath: before
compinit in ~/.zshrc, write fpath+=(~/.zfunc). Then open a new terminal. After an update of moreish, save the script
again. The last example completes in the terminal where it is run, for bash and zsh alike.

Examples:
  moreish completion bash > ~/.local/share/bash-completion/completions/moreish
  moreish completion zsh > ~/.zfunc/_moreish
  moreish completion fish > ~/.config/fish/completions/moreish.fish
  eval "$(moreish completion bash)"
"""

import re
from typing import Literal

TAKE_FILES = ("train", "tune", "lr-find", "words", "show")  # as well as a name
Shell = Literal["bash", "zsh", "fish"]
# Where nothing else completes a word, files do. An autoloaded file of zsh is run as the function of its name.
ZSH_END = """
_moreish() {
  _cyclopts_moreish "$@" || _files
}

if [[ "$funcstack[1]" == _moreish ]]; then
  _moreish "$@"
else
  compdef _moreish moreish
fi
"""


def completion(shell: Shell, /) -> None:
    """Run `moreish completion`.

    Parameters
    ----------
    shell
        The shell that reads the script.
    """
    print(script(shell), end="")


def script(shell: Shell) -> str:
    """Return the script of a shell: Cyclopts' own, with files where it has nothing."""
    from . import app

    text = app.generate_completion(shell=shell)
    if shell == "bash":  # readline completes files: it quotes them, and it ends a folder by /
        text = text.replace('COMPREPLY=( $(compgen -f -- "${cur}") )', "COMPREPLY=()")
        return text.replace("\ncomplete -F", "\ncomplete -o default -F")
    if shell == "zsh":
        return text + ZSH_END
    text = text.replace("-n __fish_use_subcommand -a ", "-n __fish_use_subcommand -f -a ")
    return re.sub(rf"(using_command (?:{'|'.join(TAKE_FILES)});.*) -f -a ", r"\1 -a ", text)

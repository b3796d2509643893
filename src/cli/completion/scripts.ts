/** Both ask `realmgate completion words`, so that they never fall behind the commands. No answer = file names. */
export const BASH = `# Completion of realmgate for bash: source <(realmgate completion bash)
_realmgate() {
  local IFS=$'\\n'
  COMPREPLY=($(realmgate completion words "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _realmgate realmgate
`;

export const ZSH = `#compdef realmgate
# Completion of realmgate for zsh: source <(realmgate completion zsh), after compinit
_realmgate() {
  local -a candidates
  candidates=(\${(f)"$(realmgate completion words "\${(@)words[2,CURRENT]}" 2>/dev/null)"})
  if (( \${#candidates} )); then
    compadd -a candidates
  else
    _files
  fi
}
if [ "\${funcstack[1]}" = "_realmgate" ]; then
  _realmgate "$@"
else
  compdef _realmgate realmgate
fi
`;

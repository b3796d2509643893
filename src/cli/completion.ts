import { candidates, type Verbs } from './completion/candidates.ts';
import { askNames } from './completion/names.ts';
import { BASH, ZSH } from './completion/scripts.ts';
import { UsageError, type Verb } from './verb.ts';

const HELP = `realmgate completion bash|zsh

Prints a script that completes verbs, commands and options, and the names of services, secrets and environments where
REALMGATE_TOKEN is set and the admin API answers within a second.

  source <(realmgate completion bash)     # in ~/.bashrc
  source <(realmgate completion zsh)      # in ~/.zshrc, after compinit

The scripts ask realmgate completion words WORD..., which prints what the last word may become.
`;

export function completionOf(verbs: Verbs): Verb {
  return {
    summary: 'print a script for completion in bash or zsh',
    help: HELP,
    async run([what, ...words], io) {
      if (what === 'words') {
        for (const word of await candidates(words, verbs, askNames)) io.out(`${word}\n`);
        return 0;
      }
      if (words.length > 0 || (what !== 'bash' && what !== 'zsh')) {
        throw new UsageError('completion takes the name of a shell: bash or zsh');
      }
      io.out(what === 'bash' ? BASH : ZSH);
      return 0;
    },
  };
}

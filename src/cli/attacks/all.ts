import type { Attack, Site } from './attack.ts';
import { bodyAttacks, framingAttacks } from './framing.ts';
import { headAttacks } from './heads.ts';
import { headerAttacks } from './headers.ts';
import { pathAttacks } from './paths.ts';
import { realmAttacks } from './realm.ts';
import { tokenAttacks } from './tokens.ts';

/** Every attack that what is known of the site allows, in the order in which they are made. */
export function attacksOn(site: Site): readonly Attack[] {
  return [
    ...tokenAttacks(site),
    ...pathAttacks(site),
    ...headerAttacks(site),
    ...headAttacks(site),
    ...framingAttacks(site),
    ...bodyAttacks(site),
    ...realmAttacks(site),
  ];
}

/** What was left out for want of something, in a sentence each. */
export function leftOut({ token, realm }: Site): readonly string[] {
  return [
    ...(token === null
      ? [
          'Without a token, no broken bodies and no changed tokens are tried (--token-file FILE, or REALMGATE_TOKEN), and ' +
            'what is refused for want of one is not told from what is refused for what it is.',
        ]
      : []),
    ...(realm.keys.length === 0
      ? [`The realm ${realm.name} publishes no keys here, so none is misused as a secret.`]
      : []),
  ];
}

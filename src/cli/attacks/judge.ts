import type { Attack } from './attack.ts';
import { type Answer, objectOf } from './read-answers.ts';
import { type Outcome, type Place, send } from './send.ts';

/** What came of one attack. */
export interface Verdict {
  readonly attack: Attack;
  readonly came: string;
  readonly ok: boolean;
}

/** Attacks once, and judges the answer. Rejects when no connection can be made. */
export async function attackOnce(place: Place, attack: Attack): Promise<Verdict> {
  const outcome = await send(place, attack.bytes, {
    watch: (status) => (!attack.closes ? 'no' : isExpected(attack, status, null) ? 'closing' : 'glance'),
  });
  return { attack, came: describe(attack, outcome), ok: isRight(attack, outcome) };
}

function isRight(attack: Attack, { answers, begun, noise, closed }: Outcome): boolean {
  const [answer, another] = answers;
  if (answer === undefined || another !== undefined || begun !== null || noise) return false;
  return isExpected(attack, answer.status, codeOf(answer)) && (closed || !attack.closes);
}

/** A gateway that gives no codes is judged by its status. */
function isExpected({ expected }: Attack, status: number, code: string | null): boolean {
  return expected.some((each) => each === `${status} ${code}` || (code === null && each.startsWith(`${status} `)));
} // prettier-ignore

function codeOf(answer: Answer): string | null {
  const code = objectOf(answer)?.['code'];
  return typeof code === 'string' ? code : null;
}

function describe(attack: Attack, { answers, begun, noise, closed }: Outcome): string {
  const all = [...answers, ...(begun === null ? [] : [begun])];
  const said = all.map((answer) => [answer.status, codeOf(answer)].filter((part) => part !== null).join(' '));
  if (noise) said.push('bytes that are no HTTP response');
  const nothing = closed ? 'no answer, the connection closed' : 'no answer';
  const open = attack.closes && !closed && said.length === 1 ? ', the connection stays open' : '';
  return (said.length === 0 ? nothing : said.join(', then ')) + open;
}

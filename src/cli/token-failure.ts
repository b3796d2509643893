import { networkFailure } from './network-failure.ts';

/** What was tried; `password` only to keep it out of the line. */
export interface Attempt {
  readonly url: string;
  readonly client: string;
  readonly user: string;
  readonly password: string;
  readonly options: AttemptOptions;
}

/** Names of the options that the user would change. */
export interface AttemptOptions {
  readonly url: string;
  readonly client: string;
}

/** Says in one line why a sign-in failed and what would be right; never with the password. */
export function describeFailure(error: unknown, attempt: Attempt): string {
  const { url, client, user, options } = attempt;
  const status = statusOf(error);
  if (status === undefined) {
    const why = networkFailure(error, options.url);
    return `cannot sign in at ${url}: ${why ?? `it gave no answer that a token endpoint would give: check ${options.url}`}`;
  }
  const { code, description } = oauthError(error);
  const said = printable([code, description].filter(Boolean).join(': '), attempt);
  if (status === 404) return `${url} is not a realm (404): check ${options.url}`;
  if (status === 429) return `${url} takes no more sign-ins for now (429): try again later`;
  if (code === 'invalid_grant')
    return `${url} refused the username or password of ${printable(user, attempt)}`;
  if (code === 'invalid_client' || code === 'unauthorized_client') {
    const need = 'it must be a public client with direct access grants';
    return `${url} refused the client ${printable(client, attempt)} (${said}): ${need}; check ${options.client}`;
  }
  if (code === 'invalid_scope') return `${url} refused --scope (${said})`;
  return `${url} answered ${status}${said === '' ? '' : ` (${said})`}`;
}

/** The status of the answer that the client library did not like, wherever it keeps it. */
function statusOf(error: unknown): number | undefined {
  const { status, cause, code } = error as { status?: unknown; cause?: unknown; code?: unknown };
  if (typeof status === 'number') return status;
  return cause instanceof Response && code !== undefined ? cause.status : undefined;
}

function oauthError(error: unknown): { code: string; description: string } {
  const { error: code, error_description: description } = error as Record<string, unknown>;
  return {
    code: typeof code === 'string' ? code : '',
    description: typeof description === 'string' ? description : '',
  };
}

/** Text from elsewhere on one line of a terminal, without the password should a server send it back. */
function printable(text: string, { password }: Attempt): string {
  const clean = text.replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ').slice(0, 200);
  return password !== '' && clean.includes(password) ? '[withheld]' : clean;
}

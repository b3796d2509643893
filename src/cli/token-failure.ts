/** What was tried; `password` only to keep it out of the line. */
export interface Attempt {
  readonly url: string;
  readonly client: string;
  readonly user: string;
  readonly password: string | null;
}

const NETWORK: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there (connection refused): is it running, and is --url right?',
  ECONNRESET: 'the connection was closed before an answer came',
  ENOTFOUND: 'there is no such host: check --url',
  EAI_AGAIN: 'its name cannot be resolved now',
  ETIMEDOUT: 'the connection timed out',
  UND_ERR_CONNECT_TIMEOUT: 'the connection timed out',
  UND_ERR_SOCKET: 'the connection was closed before an answer came',
  OAUTH_TIMEOUT: 'no answer came in time',
};

/** Says in one line why a sign-in failed and what would be right; never with the password. */
export function describeFailure(error: unknown, attempt: Attempt): string {
  const { url, client, user } = attempt;
  const status = statusOf(error);
  if (status === undefined) return `cannot sign in at ${url}: ${networkFailure(error)}`;
  const { code, description } = oauthError(error);
  const said = printable([code, description].filter(Boolean).join(': '), attempt);
  if (status === 404) return `${url} is not a realm (404): check --url`;
  if (status === 429) return `${url} takes no more sign-ins for now (429): try again later`;
  if (code === 'invalid_grant')
    return `${url} refused the username or password of ${printable(user, attempt)}`;
  if (code === 'invalid_client' || code === 'unauthorized_client') {
    const need = 'it must be a public client with direct access grants';
    return `${url} refused the client ${printable(client, attempt)} (${said}): ${need}; check --client`;
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

function networkFailure(error: unknown): string {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const { code } = at as { code?: unknown };
    if (typeof code === 'string' && Object.hasOwn(NETWORK, code)) return NETWORK[code]!;
    if (at.name === 'TimeoutError') return NETWORK['OAUTH_TIMEOUT']!;
    if (typeof code === 'string' && /^(ERR_TLS|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/.test(code)) {
      return `its certificate is not trusted (${code})`;
    }
  }
  return 'it gave no answer that a token endpoint would give: check --url';
}

/** Text from elsewhere on one line of a terminal, without the password should a server send it back. */
function printable(text: string, { password }: Attempt): string {
  const clean = text.replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ').slice(0, 200);
  return password !== null && password !== '' && clean.includes(password) ? '[withheld]' : clean;
}

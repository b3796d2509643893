import { Failure } from './failure.ts';
import { type AttemptOptions, describeFailure } from './token-failure.ts';

/** Realm that `npm start` has, through its gateway. */
export const DEFAULT_REALM_URL = 'http://127.0.0.1:8080/auth/realms/demo';
export const DEFAULT_CLIENT = 'istio';

export interface SignIn {
  readonly url: string;
  readonly client: string;
  readonly user: string;
  readonly password: string;
  readonly scope: string | undefined;
  /** What failures call the options that gave these. */
  readonly options: AttemptOptions;
}

/**
 * The password grant (RFC 6749 section 4.3) at the URL's own token endpoint, whatever its discovery names. Resolves
 * to the token response; throws `Failure`.
 */
export async function signIn(attempt: SignIn): Promise<Record<string, unknown>> {
  const { url, client, user, password, scope } = attempt;
  try {
    const oidc = await import('openid-client');
    const wantsId = scope?.split(' ').includes('openid') === true;
    const issuer = wantsId ? await issuerOf(attempt) : url;
    const server = { issuer, token_endpoint: `${url}/protocol/openid-connect/token` };
    const configuration = new oidc.Configuration(server, client, undefined, oidc.None());
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- marked so that nobody overlooks it; checked before
    if (url.startsWith('http:')) oidc.allowInsecureRequests(configuration);
    const parameters = { username: user, password, ...(scope === undefined ? {} : { scope }) };
    return { ...(await oidc.genericGrantRequest(configuration, 'password', parameters)) };
  } catch (error) {
    throw error instanceof Failure ? error : new Failure(describeFailure(error, attempt));
  }
}

/** The issuer that an ID token will name: behind a gateway it is not the URL. */
async function issuerOf({ url, options }: SignIn): Promise<string> {
  const response = await fetch(`${url}/.well-known/openid-configuration`, {
    redirect: 'manual',
    signal: AbortSignal.timeout(30_000),
  });
  const document: unknown = response.ok ? await response.json() : null;
  const issuer = (document as { issuer?: unknown } | null)?.issuer;
  if (typeof issuer === 'string') return issuer;
  throw new Failure(
    `${url} publishes no discovery document (${response.status}), which the scope openid needs: check ${options.url}`,
  );
}

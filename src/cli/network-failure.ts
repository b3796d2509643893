/** `option`: of the URL that was called, such as `--url`. */
const NETWORK: Readonly<Record<string, (option: string) => string>> = {
  ECONNREFUSED: (option) =>
    `nothing listens there (connection refused): is serve running, and is ${option} right?`,
  ECONNRESET: () => 'the connection was closed before an answer came',
  ENOTFOUND: (option) => `there is no such host: check ${option}`,
  EAI_AGAIN: () => 'its name cannot be resolved now',
  ETIMEDOUT: () => 'the connection timed out',
  EPROTO: (option) => `it does not speak TLS there: check ${option}`,
  UND_ERR_CONNECT_TIMEOUT: () => 'the connection timed out',
  UND_ERR_SOCKET: () => 'the connection was closed before an answer came',
  OAUTH_TIMEOUT: () => 'no answer came in time',
};

/** Why a server could not be reached or did not answer, and what would be right; null when it was something else. */
export function networkFailure(error: unknown, option: string): string | null {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const { code } = at as { code?: unknown };
    if (typeof code === 'string' && Object.hasOwn(NETWORK, code)) return NETWORK[code]!(option);
    if (at.name === 'TimeoutError') return 'no answer came in time';
    if (typeof code === 'string' && /^(ERR_TLS|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/.test(code)) {
      return `its certificate is not trusted (${code})`;
    }
    if (typeof code === 'string' && code.startsWith('HPE_')) return `it does not speak HTTP: check ${option}`;
  }
  return null;
}

/** The administrator that Keycloak makes at its first start. */
export const ADMIN = { username: 'admin', password: 'admin' };

/**
 * Keycloak's admin REST API, as its own administrator. Paths are relative to `/admin`: `/realms/demo/users`.
 * Every call rejects with Keycloak's answer when it is not a 2xx.
 */
export class AdminApi {
  readonly #url: string;
  #token: string | null = null;

  constructor(url: string) {
    this.#url = url;
  }

  async get<T>(path: string): Promise<T> {
    const response = await this.#call('GET', path);
    return (await response.json()) as T;
  }

  /** Resolves to the id of what was made: the last segment of `Location`; '' where Keycloak gives none. */
  async post(path: string, body: unknown = {}): Promise<string> {
    const response = await this.#call('POST', path, body);
    await response.arrayBuffer();
    return response.headers.get('location')?.split('/').at(-1) ?? '';
  }

  async put(path: string, body: unknown): Promise<void> {
    await (await this.#call('PUT', path, body)).arrayBuffer();
  }

  async delete(path: string): Promise<void> {
    await (await this.#call('DELETE', path)).arrayBuffer();
  }

  async #call(method: string, path: string, body?: unknown): Promise<Response> {
    let response = await this.#send(method, path, body);
    // Administrator's tokens live for a minute, less than a suite.
    if (response.status === 401) {
      await response.arrayBuffer();
      this.#token = null;
      response = await this.#send(method, path, body);
    }
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response;
  }

  async #send(method: string, path: string, body: unknown): Promise<Response> {
    this.#token ??= await this.#signIn();
    return fetch(`${this.#url}/admin${path}`, {
      method,
      headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  async #signIn(): Promise<string> {
    const response = await fetch(`${this.#url}/realms/master/protocol/openid-connect/token`, {
      method: 'POST',
      body: new URLSearchParams({ grant_type: 'password', client_id: 'admin-cli', ...ADMIN }),
    });
    if (!response.ok) throw new Error(`signing in: ${response.status} ${await response.text()}`);
    return ((await response.json()) as { access_token: string }).access_token;
  }
}

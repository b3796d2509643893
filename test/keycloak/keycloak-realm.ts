import type { AdminApi } from './admin-api.ts';

/** What the token endpoint answers to a grant that it allows (RFC 6749 section 5.1). */
export interface TokenAnswer {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly id_token?: string;
  readonly expires_in: number;
  readonly token_type: string;
  readonly scope: string;
}

/** Roles by name; client roles by the client's `clientId`. */
export interface Roles {
  readonly realm?: readonly string[];
  readonly client?: Readonly<Record<string, readonly string[]>>;
}

interface Component {
  readonly id: string;
  readonly providerId: string;
  readonly config: Readonly<Record<string, readonly string[]>>;
}

/**
 * A realm of a real Keycloak and what tests change in it. Clients and users are named by `clientId` and `username`.
 * `overrides` are fields of Keycloak's own representations, and win over what a method sets.
 */
export class KeycloakRealm {
  readonly name: string;
  /** `http://127.0.0.1:PORT/auth/realms/NAME`: a realm's `url` in Realmgate's configuration. */
  readonly url: string;
  readonly tokenEndpoint: string;
  readonly #admin: AdminApi;
  readonly #path: string;

  constructor(keycloakUrl: string, admin: AdminApi, name: string) {
    this.name = name;
    this.url = `${keycloakUrl}/realms/${name}`;
    this.tokenEndpoint = `${this.url}/protocol/openid-connect/token`;
    this.#admin = admin;
    this.#path = `/realms/${name}`;
  }

  /** Changes fields of the RealmRepresentation, such as `{accessTokenLifespan: 5}`. */
  async updateSettings(settings: Record<string, unknown>): Promise<void> {
    await this.#admin.put(this.#path, settings);
  }

  /** A client without a secret that may use the password grant, as `istio` on a Shakudo cluster. */
  async createPublicClient(clientId: string, overrides: Record<string, unknown> = {}): Promise<void> {
    await this.#createClient({
      clientId,
      publicClient: true,
      directAccessGrantsEnabled: true,
      redirectUris: ['*'],
      ...overrides,
    });
  }

  /** A client with a secret and a service account: it may introspect, and use the client credentials grant. */
  async createConfidentialClient(
    clientId: string,
    secret: string,
    overrides: Record<string, unknown> = {},
  ): Promise<void> {
    await this.#createClient({
      clientId,
      secret,
      publicClient: false,
      serviceAccountsEnabled: true,
      ...overrides,
    });
  }

  /** Changes fields of a client; `attributes` are merged with those it has. */
  async updateClient(clientId: string, changes: Record<string, unknown>): Promise<void> {
    const path = `${this.#path}/clients/${await this.#clientKey(clientId)}`;
    const client = await this.#admin.get<Record<string, unknown>>(path);
    const attributes: unknown = Object.assign({}, client['attributes'], changes['attributes']);
    await this.#admin.put(path, { ...client, ...changes, attributes });
  }

  /** From now on the client's access tokens carry no user claims: introspection has to be asked for them. */
  async useLightweightTokens(clientId: string): Promise<void> {
    await this.updateClient(clientId, {
      attributes: { 'client.use.lightweight.access.token.enabled': 'true' },
    });
  }

  /**
   * From now on tokens of `clientId` name `audience` in `aud`. Keycloak tells a client nothing but
   * `{"active": false}` about a token that does not.
   */
  async addAudience(clientId: string, audience: string): Promise<void> {
    const key = await this.#clientKey(clientId);
    await this.#admin.post(`${this.#path}/clients/${key}/protocol-mappers/models`, {
      name: `audience-${audience}`,
      protocol: 'openid-connect',
      protocolMapper: 'oidc-audience-mapper',
      config: {
        'included.client.audience': audience,
        'access.token.claim': 'true',
        'introspection.token.claim': 'true',
        'lightweight.claim': 'true',
      },
    });
  }

  /** Where Keycloak posts a logout token when a session with this client ends. */
  async setBackchannelLogoutUrl(clientId: string, url: string): Promise<void> {
    await this.updateClient(clientId, {
      attributes: { 'backchannel.logout.url': url, 'backchannel.logout.session.required': 'true' },
    });
  }

  async createRole(name: string): Promise<void> {
    await this.#admin.post(`${this.#path}/roles`, { name });
  }

  async createClientRole(clientId: string, name: string): Promise<void> {
    await this.#admin.post(`${this.#path}/clients/${await this.#clientKey(clientId)}/roles`, { name });
  }

  /** A user that can sign in at once. The roles must exist. */
  async createUser(
    username: string,
    password: string,
    roles: Roles = {},
    overrides: Record<string, unknown> = {},
  ): Promise<void> {
    await this.#admin.post(`${this.#path}/users`, {
      username,
      enabled: true,
      email: `${username}@example.com`,
      emailVerified: true,
      // Without names Keycloak calls the account "not fully set up" and refuses the password grant.
      firstName: username,
      lastName: 'Example',
      credentials: [{ type: 'password', value: password, temporary: false }],
      ...overrides,
    });
    await this.grantRoles(username, roles);
  }

  /** Tokens that were issued before do not have the roles. */
  async grantRoles(username: string, roles: Roles): Promise<void> {
    const user = `${this.#path}/users/${await this.#userKey(username)}`;
    if (roles.realm !== undefined) {
      const granted = roles.realm.map((role) =>
        this.#admin.get(`${this.#path}/roles/${encodeURIComponent(role)}`),
      );
      await this.#admin.post(`${user}/role-mappings/realm`, await Promise.all(granted));
    }
    for (const [clientId, names] of Object.entries(roles.client ?? {})) {
      const key = await this.#clientKey(clientId);
      const granted = names.map((role) =>
        this.#admin.get(`${this.#path}/clients/${key}/roles/${encodeURIComponent(role)}`),
      );
      await this.#admin.post(`${user}/role-mappings/clients/${key}`, await Promise.all(granted));
    }
  }

  /** Ends every session of the user; Keycloak then calls the clients' back-channel logout URLs. */
  async logoutUser(username: string): Promise<void> {
    await this.#admin.post(`${this.#path}/users/${await this.#userKey(username)}/logout`);
  }

  /** `kid` of the key that tokens are signed with now. */
  async activeKey(algorithm = 'RS256'): Promise<string> {
    const keys = await this.#admin.get<{ active: Record<string, string> }>(`${this.#path}/keys`);
    const kid = keys.active[algorithm];
    if (kid === undefined) throw new Error(`${this.name} has no active ${algorithm} key`);
    return kid;
  }

  /**
   * Makes a new RSA key that signs from now on, and resolves to its `kid`. The keys before it stay in the JWKS, as
   * in a rotation by the book, until `removeOldKeys`.
   */
  async rotateKeys(): Promise<string> {
    const priorities = (await this.#signingKeys()).map((key) => Number(key.config['priority']?.[0] ?? 0));
    await this.#admin.post(`${this.#path}/components`, {
      name: `rotated-${priorities.length}`,
      providerId: 'rsa-generated',
      providerType: 'org.keycloak.keys.KeyProvider',
      config: {
        priority: [String(Math.max(0, ...priorities) + 100)],
        enabled: ['true'],
        active: ['true'],
        algorithm: ['RS256'],
        keySize: ['2048'],
      },
    });
    return this.activeKey();
  }

  /** Takes every RSA signing key but the newest out of the JWKS: tokens signed with them are no longer good. */
  async removeOldKeys(): Promise<void> {
    const byPriority = (key: Component): number => Number(key.config['priority']?.[0] ?? 0);
    const keys = (await this.#signingKeys()).toSorted((a, b) => byPriority(b) - byPriority(a));
    for (const key of keys.slice(1)) await this.#admin.delete(`${this.#path}/components/${key.id}`);
  }

  /** Sends a form to the realm's own token endpoint, past the gateway. */
  async requestToken(form: Record<string, string>, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(this.tokenEndpoint, { method: 'POST', body: new URLSearchParams(form), headers });
  }

  /** Password grant past the gateway. Rejects with the realm's answer when it is not a 200. */
  async passwordGrant(
    username: string,
    password: string,
    form: Record<string, string> = {},
  ): Promise<TokenAnswer> {
    const response = await this.requestToken({
      grant_type: 'password',
      client_id: 'istio',
      username,
      password,
      ...form,
    });
    if (!response.ok) throw new Error(`password grant: ${response.status} ${await response.text()}`);
    return (await response.json()) as TokenAnswer;
  }

  async #createClient(client: Record<string, unknown>): Promise<void> {
    await this.#admin.post(`${this.#path}/clients`, { enabled: true, protocol: 'openid-connect', ...client });
  }

  async #clientKey(clientId: string): Promise<string> {
    const query = new URLSearchParams({ clientId });
    const found = await this.#admin.get<{ id: string }[]>(`${this.#path}/clients?${query.toString()}`);
    return onlyOne(found, `client ${clientId}`);
  }

  async #userKey(username: string): Promise<string> {
    const query = new URLSearchParams({ username, exact: 'true' });
    const found = await this.#admin.get<{ id: string }[]>(`${this.#path}/users?${query.toString()}`);
    return onlyOne(found, `user ${username}`);
  }

  async #signingKeys(): Promise<Component[]> {
    const query = new URLSearchParams({ type: 'org.keycloak.keys.KeyProvider' });
    const components = await this.#admin.get<Component[]>(`${this.#path}/components?${query.toString()}`);
    return components.filter((component) => component.providerId === 'rsa-generated');
  }
}

function onlyOne(found: readonly { readonly id: string }[], what: string): string {
  const [first, second] = found;
  if (first === undefined || second !== undefined) throw new Error(`${found.length} times ${what}`);
  return first.id;
}

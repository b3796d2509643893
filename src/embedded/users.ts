import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { EmbeddedRealmSettings } from '../contracts/settings.ts';

/** A user of the realm, with what Keycloak's default mappers put into tokens. */
export interface User {
  /** `sub`: the same for the same realm and username, always. */
  readonly id: string;
  readonly username: string;
  readonly realmRoles: readonly string[];
  /** `name`, `given_name`, `family_name`, `preferred_username`, `email` and `email_verified`. */
  readonly profile: Readonly<Record<string, string | boolean>>;
}

/** The realm's users. Usernames are compared in lower case, as Keycloak does. */
export class Users {
  readonly #byName = new Map<string, { readonly user: User; readonly digest: Buffer }>();
  readonly #byId = new Map<string, User>();
  readonly #pepper = randomBytes(32);
  readonly #nobody = randomBytes(32);

  /** Throws when two users have the same name. */
  constructor(realm: string, users: EmbeddedRealmSettings['users']) {
    for (const { username, password, roles } of users) {
      const name = username.toLowerCase();
      if (this.#byName.has(name)) throw new Error(`the embedded realm has two users named ${name}`);
      const user: User = {
        id: userId(realm, name),
        username: name,
        realmRoles: [...new Set([`default-roles-${realm}`, 'offline_access', 'uma_authorization', ...roles])],
        profile: profileOf(realm, name),
      };
      this.#byName.set(name, { user, digest: this.#digest(password) });
      this.#byId.set(user.id, user);
    }
  }

  byId(id: string): User | undefined {
    return this.#byId.get(id);
  }

  /** The user whose password this is, or null. Takes the same time for a wrong password and an unknown user. */
  authenticate(username: string, password: string): User | null {
    const entry = this.#byName.get(username.toLowerCase());
    const matches = timingSafeEqual(this.#digest(password), entry?.digest ?? this.#nobody);
    return matches && entry !== undefined ? entry.user : null;
  }

  /** Digests have one length whatever the password, which is what makes comparing them constant in time. */
  #digest(password: string): Buffer {
    return createHmac('sha256', this.#pepper).update(password).digest();
  }
}

/** A name-based UUID, version 5, in the URL namespace (RFC 9562 sections 5.5 and 6.6). */
function userId(realm: string, username: string): string {
  const name = `urn:realmgate:realm:${encodeURIComponent(realm)}:user:${encodeURIComponent(username)}`;
  const namespace = Buffer.from('6ba7b8119dad11d180b400c04fd430c8', 'hex');
  const bytes = createHash('sha1').update(namespace).update(name).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x50;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

function profileOf(realm: string, username: string): User['profile'] {
  const given = capitalized(username);
  const family = capitalized(realm);
  return {
    email_verified: true,
    name: `${given} ${family}`,
    preferred_username: username,
    given_name: given,
    family_name: family,
    // Only where the result is an address for certain; .example belongs to nobody (RFC 2606).
    ...(/^[a-z0-9][a-z0-9._+-]*$/.test(username) && /^[A-Za-z0-9][A-Za-z0-9-]*$/.test(realm)
      ? { email: `${username}@${realm.toLowerCase()}.example` }
      : {}),
  };
}

function capitalized(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

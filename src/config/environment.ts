/** The password for `realmgate token`, where neither the process list nor a file shall show it; null = not set. */
export function passwordFromEnvironment(): string | null {
  const value = process.env['REALMGATE_PASSWORD'];
  return value === undefined || value === '' ? null : value;
}

/** What a service's program gets of this process's environment: where programs and its home are, and no secret. */
export function serviceEnvironment(): Record<string, string> {
  const passed: Record<string, string> = {};
  for (const name of ['PATH', 'HOME', 'LANG', 'TZ', 'TMPDIR']) {
    const value = process.env[name];
    if (value !== undefined) passed[name] = value;
  }
  return passed;
}

/** The password for `realmgate token`, where neither the process list nor a file shall show it; null = not set. */
export function passwordFromEnvironment(): string | null {
  const value = process.env['REALMGATE_PASSWORD'];
  return value === undefined || value === '' ? null : value;
}

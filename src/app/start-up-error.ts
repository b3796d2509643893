/** Something outside of the program keeps it from starting. One line for the operator; exit 1. */
export class StartUpError extends Error {
  override readonly name = 'StartUpError';
}

/** What kept `what` from listening on `address`, in the operator's words. */
export function bindError(what: string, address: string, error: unknown): StartUpError {
  const { code, syscall, message } = error as NodeJS.ErrnoException;
  if (syscall !== 'listen' && syscall !== 'getaddrinfo') {
    return new StartUpError(`The ${what} cannot start: ${message}`);
  }
  const why =
    code === 'EADDRINUSE'
      ? 'another program uses that port; stop it or choose another port'
      : code === 'EACCES'
        ? 'the system does not allow that port; choose one above 1023 or grant CAP_NET_BIND_SERVICE'
        : code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' || code === 'EAI_AGAIN'
          ? 'this machine has no such address'
          : message;
  return new StartUpError(`The ${what} cannot listen on ${address}: ${why}`);
}

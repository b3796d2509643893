/** The upstream sent something that is not strict HTTP/1.x. The message is for the log and quotes nothing that was sent. */
export class InvalidResponse extends Error {
  override readonly name = 'InvalidResponse';
}

/** A section with more fields or bytes than are read. */
export class OversizedSection extends InvalidResponse {}

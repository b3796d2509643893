/** What came is not strict HTTP/1.x. The text quotes nothing of it. */
export class InvalidMessage extends Error {
  override readonly name = 'InvalidMessage';
}

/** A section with more fields or bytes than are read. */
export class OversizedSection extends InvalidMessage {}

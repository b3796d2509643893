import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** Told the status of an answer; 0 = the connection broke before it was complete. */
export type Answered = (status: number) => void;

/** For all of them: nothing that is read is kept. */
const READ = Buffer.alloc(64 * 1024);

/**
 * A keep-alive connection to 127.0.0.1 that takes one request at a time and costs little, so that thousands of them, or
 * many thousand requests a second, leave the machine to the gateway. Understands answers with `Content-Length` only.
 */
export class RawConnection {
  readonly #socket: Socket;
  #answered: Answered | null = null;
  #status = 0;
  /** Bytes of the answer that are still to come; null = its head is not complete. */
  #left: number | null = null;
  #head = '';

  private constructor(port: number) {
    const callback = (size: number, buffer: Uint8Array): boolean => {
      this.#read(buffer as Buffer, size);
      return true;
    };
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true, onread: { buffer: READ, callback } });
    this.#socket.on('error', () => undefined);
    this.#socket.once('close', () => this.#end(0));
  }

  static async open(port: number): Promise<RawConnection> {
    const connection = new RawConnection(port);
    await once(connection.#socket, 'connect');
    return connection;
  }

  get usable(): boolean {
    return this.#answered === null && this.#socket.writable;
  }

  /** Sends a request as `rawRequest` makes it. Throws while another one is under way. */
  send(request: string | Buffer, answered: Answered): void {
    if (this.#answered !== null) throw new TypeError('one request at a time');
    this.#answered = answered;
    if (this.#socket.writable) this.#socket.write(request);
    else this.#end(0);
  }

  /** The same as a promise. */
  ask(request: string | Buffer): Promise<number> {
    return new Promise((resolve) => this.send(request, resolve));
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer, size: number): void {
    let bytes = size;
    if (this.#left === null) {
      // latin1: a character for each byte.
      this.#head += chunk.toString('latin1', 0, size);
      const end = this.#head.indexOf('\r\n\r\n');
      if (end < 0) return;
      bytes = this.#head.length - end - 4;
      const length = /\r\ncontent-length: *(\d+)/i.exec(this.#head)?.[1];
      this.#status = length === undefined ? 0 : Number(this.#head.slice(9, 12));
      this.#left = Number(length ?? 0);
    }
    this.#left -= bytes;
    if (this.#left <= 0) this.#end(this.#status);
  }

  #end(status: number): void {
    const answered = this.#answered;
    this.#answered = null;
    this.#left = null;
    this.#head = '';
    answered?.(status);
  }
}

export function rawRequest(path: string, token: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\n\r\n`;
}

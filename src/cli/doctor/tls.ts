import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { GatewaySettings } from '../../contracts/settings.ts';
import { type Check, fault, type Finding, ok, warning } from './check.ts';

const DAY = 24 * 60 * 60 * 1000;
const SOON = 14 * DAY;

/** That the files can be read and fit each other belongs to the configuration, which was checked before. */
export function tlsChecks({ tls, publicUrl }: GatewaySettings): Check[] {
  if (tls === null) return [];
  return [{ name: 'gateway.tls', run: () => certificate(tls.cert, publicUrl, Date.now()) }];
}

/** What `pem` is good for at `now`, in ms since the epoch. */
export function certificate(pem: string, publicUrl: string | null, now: number): Finding[] {
  const read = new X509Certificate(pem);
  return [validity(read, now), ...(publicUrl === null ? [] : [names(read, new URL(publicUrl).hostname)])];
}

function validity({ validFromDate, validToDate }: X509Certificate, now: number): Finding {
  const day = (date: Date) => date.toISOString().slice(0, 10);
  const left = validToDate.getTime() - now;
  const renew = 'renew it; serve takes the new files as soon as they are there';
  if (validFromDate.getTime() > now)
    return fault(`the certificate is valid from ${day(validFromDate)} on`, "set this machine's clock, or wait");
  if (left <= 0) return fault(`the certificate has expired on ${day(validToDate)}`, renew);
  if (left < SOON)
    return warning(`the certificate expires on ${day(validToDate)}, in ${Math.floor(left / DAY)} days`, renew);
  return ok(`the certificate is valid until ${day(validToDate)}`);
} // prettier-ignore

function names(read: X509Certificate, hostname: string): Finding {
  const host = hostname.replace(/^\[|\]$/g, '');
  const named = isIP(host) === 0 ? read.checkHost(host) : read.checkIP(host);
  if (named !== undefined) return ok(`the certificate names ${host}, as gateway.publicUrl does`);
  return fault(
    `the certificate does not name ${host}, the host of gateway.publicUrl`,
    'get one that does: no client will accept this',
  );
}

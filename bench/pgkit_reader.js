// The contender `pgkit` of the bench `schema`, once: `node pgkit_reader.js MODULES URL`, where MODULES is the folder
// that npm filled. migra's port for Node, both sides, which are one database here. Prints what schema_reader.py does.
const { createRequire } = require("module")
const [modules, url] = process.argv.slice(2)
const load = createRequire(modules + "/")
const { createClient } = load("@pgkit/client")
const { Migration } = load("@pgkit/migra")

async function main() {
  const began = performance.now()
  const [one, other] = [createClient(url), createClient(url)]
  const found = await Migration.create(one, other, {})
  found.set_safety(false)
  found.add_all_changes(false)
  const seconds = (performance.now() - began) / 1000
  const mb = process.resourceUsage().maxRSS / 1024
  console.log(JSON.stringify({ seconds, mb, found: found.statements.length ?? 0 }))
  await Promise.all([one.end(), other.end()])
}

main()

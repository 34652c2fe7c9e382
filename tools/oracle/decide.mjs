// Decides cases as the npm package @cloud-copilot/iam-simulate does: a line in, a line out.
//
// A case is {"policies": [DOCUMENT…], "request": {"action", "resource", "context"}}; the answer is Allow, ExplicitDeny or
// ImplicitDeny. The package is found from the folder this runs in (`install`). Not here: which cases, and who is right.
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'

const require = createRequire(process.cwd() + '/')
const { runUnsafeSimulation } = require('@cloud-copilot/iam-simulate')
const words = { Allowed: 'Allow', ExplicitlyDenied: 'ExplicitDeny', ImplicitlyDenied: 'ImplicitDeny' }
const account = '111122223333'

const out = []
for (const line of readFileSync(0, 'utf8').split('\n')) {
  if (line === '') continue
  const { policies, request } = JSON.parse(line)
  const result = runUnsafeSimulation(
    {
      identityPolicies: policies.map((policy, at) => ({ name: `policy${at}`, policy })),
      serviceControlPolicies: [],
      resourceControlPolicies: [],
      request: {
        principal: `arn:aws:iam::${account}:user/alice`,
        action: request.action,
        resource: { resource: request.resource, accountId: account },
        contextVariables: request.context
      }
    },
    {}
  )
  const verdict = words[result]
  if (!verdict) throw new Error(`${JSON.stringify(result)} is no verdict, for ${line}`)
  out.push(verdict)
}
process.stdout.write(out.join('\n') + '\n')

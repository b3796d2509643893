-- The load of bench/support/load.ts: one request per token of a file, in turn.
-- Arguments: file of tokens, method, bytes of body, number of requests (0 = until the time is over).

local requests = {}
local at = 0
local last = 0

function init(args)
  local headers = {}
  for name, value in pairs(wrk.headers) do headers[name] = value end
  local body = nil
  if tonumber(args[3]) > 0 then body = string.rep("x", tonumber(args[3])) end
  for token in io.lines(args[1]) do
    headers["Authorization"] = "Bearer " .. token
    requests[#requests + 1] = wrk.format(args[2], nil, headers, body)
  end
  last = tonumber(args[4])
end

function request()
  at = at + 1
  if at == last then
    wrk.thread:stop()
    -- wrk itself sleeps on until its time is over: whoever started it has to wake it with SIGINT.
    io.write("SENT\n")
    io.flush()
  end
  return requests[(at - 1) % #requests + 1]
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    "\nRESULT {\"requests\":%d,\"microseconds\":%d,\"bytes\":%d,\"refused\":%d,\"errors\":%d," ..
    "\"latency\":{\"p50\":%d,\"p90\":%d,\"p99\":%d,\"max\":%d}}\n",
    summary.requests, summary.duration, summary.bytes, e.status, e.connect + e.read + e.write + e.timeout,
    latency:percentile(50), latency:percentile(90), latency:percentile(99), latency.max))
end

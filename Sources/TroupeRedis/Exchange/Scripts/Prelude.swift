/// What every script begins with: the request, the time, and actors as records that are read once and written once.
///
/// The scripts are `MailboxMachine` again, function by function and under the same names; read them side by side.
enum Prelude {
    static let source = #"""
        local base, call = KEYS[1], redis.call
        local request = cmsgpack.unpack(ARGV[2])

        -- A large part of the request, by its number.
        local function blob(number) return ARGV[number + 2] end

        local function text(number) return string.format('%.0f', number) end

        local now
        if ARGV[1] == '' then
          local time = call('TIME')
          now = time[1] * 1000 + math.floor(time[2] / 1000)
        else
          -- A clock that a test holds does not go back, whoever passes it.
          now = math.max(tonumber(ARGV[1]), tonumber(call('HGET', base .. ':meta', 'now') or ARGV[1]))
          call('HSET', base .. ':meta', 'now', text(now))
        end

        -- The key of an actor, which is its id without the site.
        local function keyOf(id) return string.match(id, '^troupe://[^/]*/(.+)$') or id end

        local actors, touched = {}, {}
        local queuedDelta, deadLetterDelta = 0, 0

        -- An actor, or false. `fixed` is what it was registered with, `live` is what changes.
        local function loadActor(key)
          local actor = actors[key]
          if actor ~= nil then return actor end
          local fields = call('HMGET', base .. ':actor:' .. key, 'fixed', 'live')
          if not fields[1] then
            actors[key] = false
            return false
          end
          actor = { key = key, fixed = cmsgpack.unpack(fields[1]), live = cmsgpack.unpack(fields[2]) }
          actors[key] = actor
          return actor
        end

        -- Writes back what has changed.
        local function save()
          for key, actor in pairs(actors) do
            if actor and actor.isChanged then
              call('HSET', base .. ':actor:' .. key, 'live', cmsgpack.pack(actor.live), unpack(actor.state or {}))
            end
          end
          if queuedDelta ~= 0 then call('HINCRBY', base .. ':meta', 'queued', queuedDelta) end
          if deadLetterDelta ~= 0 then call('HINCRBY', base .. ':meta', 'dead', deadLetterDelta) end
          for client in pairs(touched) do call('PEXPIRE', base .. ':replies:' .. client, limits.clientRetention) end
        end

        -- What is done is written back also when another program's key ends the script half-way: records and mailboxes
        -- must not tell different stories.
        local function run(body)
          local isDone, reply = pcall(body)
          save()
          if not isDone then error(reply) end
          return reply
        end

        local function nextCounter() return call('HINCRBY', base .. ':meta', 'counter', 1) end

        local function deliver(worker, ...) call('XADD', base .. ':lane:' .. worker, '*', ...) end

        -- Keeps a client's reply mailbox for a while: under a clock that a test holds by an agenda, as the machine
        -- does.
        local function touch(client)
          if ARGV[1] == '' then
            touched[client] = true
          else
            call('ZADD', base .. ':due:clients', now + limits.clientRetention, client)
          end
        end

        local function post(client, ...)
          touch(client)
          call('XADD', base .. ':replies:' .. client, 'MAXLEN', limits.receiptsMax, '*', ...)
        end

        """#
}

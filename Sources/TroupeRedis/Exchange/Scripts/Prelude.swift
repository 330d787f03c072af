/// What every function begins with: the request, the time, and actors as records that are read once and written once.
///
/// The functions are `MailboxMachine` again, function by function and under the same names; read them side by side.
enum Prelude {
    static let source = #"""
        -- Of one run: its arguments, the first of which is the time of a clock that a test holds, or empty.
        local call, base, arguments, request, now
        local actors, touched, goneWorkers
        local enteredCount, leftCount, deadLetterDelta
        -- How far the shard has come, by counts that only grow; of each, what this run made of it. A client that has
        -- seen more than there is knows that the shard went back in time.
        local marks

        local function text(number) return string.format('%.0f', number) end

        local function readClock(held)
          if held == '' then
            local time = call('TIME')
            return time[1] * 1000 + math.floor(time[2] / 1000)
          end
          -- It does not go back, whoever passes it.
          local time = math.max(tonumber(held), tonumber(call('HGET', base .. ':meta', 'now') or held))
          call('HSET', base .. ':meta', 'now', text(time))
          return time
        end

        local function begin(keys, given)
          call, base, arguments = redis.call, keys[1], given
          request = cmsgpack.unpack(given[2])
          now = readClock(given[1])
          actors, touched, goneWorkers = {}, {}, {}
          enteredCount, leftCount, deadLetterDelta = 0, 0, 0
          marks = { false, false, false, false }
          limits.outcomeKeyRetention = given[1] == '' and limits.retentionMin or limits.retentionHeld
        end

        -- A large part of the request, by its number.
        local function blob(number) return arguments[number + 2] end

        -- The key of an actor, which is its id without the site.
        local function keyOf(id) return string.match(id, '^troupe://[^/]*/(.+)$') or id end

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
          local hasChanged = false
          for key, actor in pairs(actors) do
            if actor and actor.isChanged then
              hasChanged = true
              call('HSET', base .. ':actor:' .. key, 'live', cmsgpack.pack(actor.live), unpack(actor.state or {}))
            end
          end
          if enteredCount > 0 then marks[1] = call('HINCRBY', base .. ':meta', 'entered', enteredCount) end
          if leftCount > 0 then marks[2] = call('HINCRBY', base .. ':meta', 'left', leftCount) end
          -- What neither came nor went with an envelope has a count of its own.
          if hasChanged and not (marks[1] or marks[2] or marks[4]) then
            marks[3] = call('HINCRBY', base .. ':meta', 'acts', 1)
          end
          if deadLetterDelta ~= 0 then call('HINCRBY', base .. ':meta', 'dead', deadLetterDelta) end
          for client in pairs(touched) do call('PEXPIRE', base .. ':replies:' .. client, limits.clientRetention) end
        end

        -- What is done is written back also when another program's key ends the script half-way: records and mailboxes
        -- must not tell different stories.
        local function run(body)
          local isDone, reply = pcall(body)
          save()
          -- An error of the server keeps its first word; a string that is raised again would get another beginning.
          if not isDone then error(string.match(reply, '^%u+ ') and { err = reply } or reply) end
          return { reply, unpack(marks) }
        end

        -- Below this no epoch begins after a loss: more than any that were given out before, as far as the clock can
        -- tell.
        local function counterFloor() return arguments[1] == '' and now * 1024 or 0 end

        -- Source of epochs and incarnations. A fresh shard begins at the floor, so a count of one means that the
        -- counter was lost under us.
        local function nextCounter()
          local counter = call('HINCRBY', base .. ':meta', 'counter', 1)
          if counter == 1 and counterFloor() > 0 then
            counter = counterFloor()
            call('HSET', base .. ':meta', 'counter', text(counter))
          end
          marks[4] = counter
          return counter
        end

        local function deliver(worker, ...) call('XADD', base .. ':lane:' .. worker, '*', ...) end

        -- Keeps a client's reply mailbox for a while: under a clock that a test holds by an agenda, as the machine
        -- does.
        local function touch(client)
          if arguments[1] == '' then
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

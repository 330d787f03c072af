/// What time brings.
enum Time {
    static let tick = #"""
        local function due(agenda, budget)
          return call('ZRANGEBYSCORE', base .. ':due:' .. agenda, '-inf', text(now), 'LIMIT', 0, budget)
        end

        local function endDelays(budget)
          for _, key in ipairs(due('delays', budget)) do
            call('ZREM', base .. ':due:delays', key)
            local actor = loadActor(key)
            if actor then
              actor.live.delayedUntil, actor.isChanged = nil, true
              updateReadiness(actor)
            end
          end
        end

        -- CBOR (RFC 8949) of the envelope of a firing: version, id, kind, target, sender, reply to, method, generics,
        -- time, deadline, fingerprint, chain, references, baggage, arguments.
        local function cborHead(major, count)
          if count < 24 then return struct.pack('>B', major + count) end
          if count < 256 then return struct.pack('>BB', major + 24, count) end
          if count < 65536 then return struct.pack('>BH', major + 25, count) end
          if count < 4294967296 then return struct.pack('>BI4', major + 26, count) end
          return struct.pack('>BI4I4', major + 27, math.floor(count / 4294967296), count % 4294967296)
        end

        local function cborText(value) return cborHead(0x60, #value) .. value end

        local function cborInt(value)
          if value < 0 then return cborHead(0x20, -1 - value) end
          return cborHead(0, value)
        end

        local function firingBody(header, sender, timer)
          local refs = cborHead(0x80, #(timer.refs or {}))
          for _, id in ipairs(timer.refs or {}) do refs = refs .. cborText(id) end
          return cborHead(0x80, 15) .. cborInt(1) .. cborText(header.id) .. cborInt(header.kind) .. cborText(header.to)
            .. cborText(sender) .. '\246' .. cborText(timer.method) .. cborHead(0x80, 0) .. cborInt(header.at) .. '\246'
            .. cborInt(0) .. cborHead(0x80, 0) .. refs .. cborHead(0xa0, 0)
            .. cborHead(0x40, #timer.arguments) .. timer.arguments
        end

        local function reschedule(timer, name, actor, at)
          timer.fireAt = at
          call('HSET', base .. ':timers:' .. actor.key, name, cmsgpack.pack(timer))
          call('ZADD', base .. ':due:timers', at, actor.key .. '\0' .. name)
        end

        -- Enqueues the timer's message, unless the last one is still queued, and sets the next time. A mailbox beyond
        -- its reserve postpones the firing by a second.
        local function fire(timer, name, actor)
          local isWaiting = readEntry(actor, timer.lastFiring)
          if not isWaiting then
            local sequence = actor.live.last + 1
            local id = actor.key .. '#' .. text(actor.fixed.incarnation) .. '~' .. name .. '.' .. text(sequence)
            local size = 64 + #id + 2 * #actor.key + #timer.method + #timer.arguments
              + 48 * #(timer.refs or {})
            if not hasRoom(actor, 1, size, 2) then return reschedule(timer, name, actor, now + 1000) end
            local header = { id = id, kind = 2, to = actor.fixed.id, size = size, at = now, refs = timer.refs }
            timer.lastFiring = sequence
            enqueue(cmsgpack.pack(header), header, firingBody(header, actor.key, timer), actor)
          end
          if not timer.interval then
            if isWaiting then return reschedule(timer, name, actor, now + 1000) end
            call('HDEL', base .. ':timers:' .. actor.key, name)
            call('ZREM', base .. ':due:timers', actor.key .. '\0' .. name)
            unpin(timer.refs)
            return
          end
          local regular = timer.fireAt + timer.interval
          reschedule(timer, name, actor, regular > now and regular or now + timer.interval)
        end

        local function fireTimers(budget)
          for _, member in ipairs(due('timers', budget)) do
            local cut = string.find(member, '\0', 1, true)
            local key, name = string.sub(member, 1, cut - 1), string.sub(member, cut + 1)
            local actor, packed = loadActor(key), call('HGET', base .. ':timers:' .. key, name)
            if actor and packed then
              fire(cmsgpack.unpack(packed), name, actor)
            else
              call('ZREM', base .. ':due:timers', member)
            end
          end
        end

        local function endHolds(budget)
          for _, id in ipairs(due('holds', budget)) do
            call('ZREM', base .. ':due:holds', id)
            local object = loadObject(id)
            if object then discardIfUnused(id, object) end
          end
        end

        local function endKeeps(budget)
          for _, member in ipairs(due('keeps', budget)) do
            local cut = string.find(member, '\0', 1, true)
            endKeep(string.sub(member, cut + 1), string.sub(member, 1, cut - 1))
          end
        end

        -- Only under a clock that a test holds; else keys expire by themselves. Emptied rather than deleted, since the
        -- numbers of items are of the server's clock, which may not have moved.
        local function forgetClients(budget)
          for _, client in ipairs(due('clients', budget)) do
            call('XTRIM', base .. ':replies:' .. client, 'MAXLEN', 0)
            call('PEXPIRE', base .. ':replies:' .. client, limits.outcomeKeyRetention)
            call('ZREM', base .. ':due:clients', client)
          end
        end

        -- Outcomes expire by themselves; their places in the order of completion go here.
        local function forgetCompletions(budget)
          for _, completion in ipairs(budget > 0 and call('LRANGE', base .. ':completed', 0, budget - 1) or {}) do
            if tonumber(string.match(completion, '^%-?%d+')) > now then return end
            call('LPOP', base .. ':completed')
          end
        end

        local function forgetOwed(budget)
          for _, id in ipairs(due('owed', budget)) do
            liveOutcome(id)
            -- Also one whose record is not there any more.
            call('ZREM', base .. ':due:owed', id)
          end
        end

        local function nextDue()
          local earliest
          for _, agenda in ipairs({ 'leases', 'delays', 'timers' }) do
            local at = tonumber(call('ZRANGE', base .. ':due:' .. agenda, 0, 0, 'WITHSCORES')[2])
            if at and (not earliest or at < earliest) then earliest = at end
          end
          return earliest or false
        end

        function serve.tick()
          local budget = math.max(0, request.budget)
          for _, worker in ipairs(due('leases', budget)) do removeWorker(worker, true) end
          endDelays(budget)
          fireTimers(budget)
          endHolds(budget)
          endKeeps(budget)
          forgetClients(budget)
          forgetCompletions(budget)
          forgetOwed(budget)
          return { nextDue(), now }
        end
        """#
}

/// What operators do, and what they look at.
enum Operators {
    static let operate = #"""
        local operations = {}

        function operations.pause(actor)
          actor.live.paused, actor.isChanged = request.paused or nil, true
          deliverMore(actor)
          updateReadiness(actor)
          return 1
        end

        function operations.editState(actor)
          if isCarried(actor) then return { 'move', describeMove(actor) } end
          voidActivation(actor)
          replaceState(actor, blob(1), request.refs)
          updateReadiness(actor)
          return 1
        end

        local function letterOf(member)
          local fields = cmsgpack.unpack(member)
          return { member = member, sequence = fields[1], packed = fields[5], body = fields[6],
            header = cmsgpack.unpack(fields[5]) }
        end

        local function removeDeadLetter(letter, actor)
          local letters = base .. ':letters:' .. actor.key
          call('ZREM', letters, letter.member)
          unpin(letter.header.refs)
          deadLetterDelta = deadLetterDelta - 1
          actor.live.dead, actor.isChanged = actor.live.dead - 1, true
          if actor.live.dead == 0 then call('ZREM', base .. ':troubled', actor.key) end
        end

        local function readDeadLetter(actor, sequence)
          local letters = base .. ':letters:' .. actor.key
          local member = call('ZRANGEBYSCORE', letters, text(sequence), text(sequence))[1]
          return member and letterOf(member)
        end

        -- Sends a dead letter again: to its target, at the end of the mailbox.
        function operations.requeue(actor)
          local letter = readDeadLetter(actor, request.sequence)
          if not letter then return 'noletter' end
          local header = letter.header
          -- What the actor was sent is here; what it sent may be for another shard.
          local isAway = header.away and keyOf(header.to) ~= actor.key
          local target = not isAway and loadActor(keyOf(header.to))
          if not target and not isAway then return 'noactor' end
          pin(header.refs)
          removeDeadLetter(letter, actor)
          header.due, header.cleared = nil, 1
          if isAway then
            putOut(cmsgpack.pack(header), header, letter.body, actor.key, true)
          else
            -- If its call is pending, its sender has sent it again meanwhile, which is as good.
            local entry, packed = liveOutcome(header.id), cmsgpack.pack(header)
            if not entry or entry.status then
              if entry then disown(header.id, entry) end
              header.owed = entry and entry.owed
              enqueue(packed, header, letter.body, target)
            end
          end
          unpin(header.refs)
          announceRoom(actor)
          return 1
        end

        function operations.discard(actor)
          local letter = readDeadLetter(actor, request.sequence)
          if not letter then return 'noletter' end
          removeDeadLetter(letter, actor)
          announceRoom(actor)
          return 1
        end

        local function deleteKeys(actor)
          local key = actor.key
          local timers = call('HGETALL', base .. ':timers:' .. key)
          for index = 1, #timers, 2 do
            call('ZREM', base .. ':due:timers', key .. '\0' .. timers[index])
            unpin(cmsgpack.unpack(timers[index + 1]).refs)
          end
          call('ZREM', base .. ':due:delays', key)
          call('ZREM', base .. ':actors', key)
          for _, label in ipairs(actor.fixed.labels) do call('ZREM', base .. ':label:' .. label, key) end
          call('DEL', base .. ':actor:' .. key, base .. ':timers:' .. key, base .. ':blocked:' .. key,
            base .. ':untold:' .. key)
          actors[key] = false
        end

        -- Ends an actor: its record, mailbox and dead letters go, and what was queued ends as a dead letter that is not
        -- kept.
        function operations.terminate(actor)
          local live = actor.live
          -- Whether the other site has it already is not known yet.
          if live.move and live.move.phase == 'away' then return { 'move', describeMove(actor) } end
          local count = live.count + live.dead
          voidActivation(actor)
          while live.count > 0 do
            for _, entry in ipairs(readQueue(actor, 0, 100)) do
              dequeue(entry, actor)
              unpin(entry.header.refs)
              finish(entry.header.id, 'deadLettered', actor.key .. ' was terminated')
            end
          end
          for _, member in ipairs(call('ZRANGE', base .. ':letters:' .. actor.key, 0, -1)) do
            removeDeadLetter(letterOf(member), actor)
          end
          unpin(stateReferences(actor))
          announceRoom(actor)
          live.wants = nil
          if isLeaving(actor) then live.move = nil end
          updateReadiness(actor)
          deleteKeys(actor)
          return { count }
        end

        function serve.operate()
          local actor = loadActor(request.key)
          return actor and operations[request.operation](actor) or 'noactor'
        end
        """#

    static let inspect = #"""
        local operations = {}

        local function stat(actor)
          local live, fixed, lease = actor.live, actor.fixed, actor.live.lease
          local key = base .. ':actor:' .. actor.key
          local first = live.count > 0 and readQueue(actor, 0, 1)[1]
          local phase = live.move and live.move.phase
          local status = phase == 'moved' and 'moved' or (phase == 'leaving' or phase == 'away') and 'moving'
            or live.paused and 'paused' or lease and 'active' or live.delayedUntil and 'delayed'
            or live.readySince and 'ready' or 'dormant'
          return {
            fixed.id, status, call('HGET', key, 'about'), fixed.incarnation, lease and lease.worker or false,
            lease and lease.epoch or false, live.paused and 1 or 0, live.count, lease and lease.outstanding or 0,
            live.size, live.dead, call('HSTRLEN', key, 'state'), live.last, fixed.created,
            live.timers and call('HKEYS', base .. ':timers:' .. actor.key) or {}, first and first.header.at or false,
            describeMove(actor),
          }
        end

        function operations.stat()
          local actor = loadActor(request.key)
          return actor and stat(actor) or 'noactor'
        end

        function operations.state()
          local actor = loadActor(request.key)
          if not actor then return 'noactor' end
          local move = actor.live.move
          if move and move.phase == 'moved' then return { 'move', describeMove(actor) } end
          return call('HGET', base .. ':actor:' .. request.key, 'state')
        end

        function operations.transfer()
          local actor = loadActor(request.key)
          if not actor then return 'noactor' end
          local live, key = actor.live, base .. ':actor:' .. request.key
          local about, state = unpack(call('HMGET', key, 'about', 'state'))
          local timers, packed = {}, live.timers and call('HGETALL', base .. ':timers:' .. request.key) or {}
          for index = 1, #packed, 2 do
            local timer = cmsgpack.unpack(packed[index + 1])
            table.insert(timers, { packed[index], math.max(0, timer.fireAt - now), timer.interval or false, timer.method,
              timer.arguments, timer.refs or {} })
          end
          return { actor.fixed.id, about, state, stateReferences(actor), live.wants and 1 or 0,
            live.move and live.move.number or 0, timers, live.move and arrivalFrom(actor, live.move.site) or false }
        end

        -- Walks the index of the label, or of all actors, in which a type's actors are neighbours.
        function operations.list()
          local index = request.label and base .. ':label:' .. request.label or base .. ':actors'
          local first, prefix = request.start and '(' .. request.start or '-', request.prefix or ''
          local rows = {}
          for _, key in ipairs(call('ZRANGEBYLEX', index, first, '+', 'LIMIT', 0, request.limit + 1)) do
            if string.sub(key, 1, #prefix) ~= prefix then break end
            if #rows == request.limit then return { rows, 1 } end
            table.insert(rows, stat(loadActor(key)))
          end
          return { rows, 0 }
        end

        function operations.peek()
          local actor = loadActor(request.key)
          if not actor then return 'noactor' end
          local rows = {}
          for index, entry in ipairs(readQueue(actor, request.sequence, request.limit)) do
            local attempts = attemptsOf(actor, entry.sequence)
            rows[index] = { entry.sequence, attempts, entry.header.cleared or 0, entry.body }
          end
          return rows
        end

        function operations.deadLetters()
          if not loadActor(request.key) then return 'noactor' end
          local rows, after = {}, '(' .. text(request.sequence)
          local letters = base .. ':letters:' .. request.key
          for index, member in ipairs(call('ZRANGEBYSCORE', letters, after, '+inf', 'LIMIT', 0, request.limit)) do
            local fields = cmsgpack.unpack(member)
            local cleared = cmsgpack.unpack(fields[5]).cleared or 0
            rows[index] = { fields[1], fields[2], fields[3], fields[4], cleared, fields[6] }
          end
          return rows
        end

        function operations.actorsWithDeadLetters()
          local first, rows = request.start and '(' .. request.start or '-', {}
          for _, key in ipairs(call('ZRANGEBYLEX', base .. ':troubled', first, '+', 'LIMIT', 0, request.limit)) do
            table.insert(rows, loadActor(key).fixed.id)
          end
          return rows
        end

        function operations.counted()
          local ids = {}
          for _, id in ipairs(request.ids) do
            if call('HEXISTS', base .. ':objects', id) == 1 then table.insert(ids, id) end
          end
          return ids
        end

        function operations.foreignObjects()
          local first = request.start and '(' .. request.start or '-'
          return call('ZRANGEBYLEX', base .. ':foreign', first, '+', 'LIMIT', 0, request.limit)
        end

        function operations.workers()
          local rows = {}
          for index, id in ipairs(call('ZRANGE', base .. ':workers', 0, -1)) do
            local fields = call('HMGET', base .. ':worker:' .. id, 'about', 'draining', 'until')
            rows[index] = { id, fields[1], fields[2] == '1' and 1 or 0, tonumber(fields[3]),
              call('ZCARD', base .. ':held:' .. id) }
          end
          return rows
        end

        function operations.types() return call('HVALS', base .. ':types') end

        function operations.shardStat()
          local totals = call('HMGET', base .. ':meta', 'entered', 'left', 'dead')
          local waiting = 0
          for _, count in ipairs(call('HVALS', base .. ':away:count')) do waiting = waiting + count end
          return {
            call('ZCARD', base .. ':actors'), (totals[1] or 0) - (totals[2] or 0), tonumber(totals[3] or 0),
            call('ZCARD', base .. ':workers'), call('HLEN', base .. ':objects'), waiting,
            call('ZCARD', base .. ':due:owed'), now,
          }
        end

        function serve.inspect() return operations[request.operation]() end
        """#
}

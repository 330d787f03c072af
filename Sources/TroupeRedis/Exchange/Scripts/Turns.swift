/// Commits of turns.
enum Turns {
    static let commit = #"""
        -- What the end of a turn has to know of its envelope, without reading it, for it may be large; nil if it may
        -- be needed whole.
        local function readBriefly(ack, actor, packed)
          if not packed or ack.as == 'undecodable' then return nil end
          local outcome = outcomeOf(packed)
          if outcome.status or outcome.sequence ~= ack.seq or keyOf(outcome.target) ~= actor.key
            or not outcome.size or (ack.as == 'failed' and outcome.kind ~= 0) then
            return nil
          end
          -- It has all that is asked of a header here, but for the id.
          outcome.id = ack.id
          return { sequence = ack.seq, outcome = outcome, header = outcome }
        end

        -- Acknowledgements come as one array for all: making a table of named fields of a map takes ten times as long.
        local function unpackAcknowledgements(turn)
          local flat, acks = turn.acks, {}
          for at = 1, #flat, 5 do
            acks[#acks + 1] = {
              seq = flat[at], id = flat[at + 1], as = flat[at + 2], blob = flat[at + 3], refs = flat[at + 4],
            }
          end
          turn.acks = acks
        end

        -- The envelopes that a turn acknowledges, if all of them were given to its activation.
        local function acknowledged(turn, actor, lease)
          unpackAcknowledgements(turn)
          local entries, keys = {}, {}
          for index, ack in ipairs(turn.acks) do keys[index] = outcomeKey(ack.id) end
          local outcomes = #keys > 0 and call('MGET', unpack(keys)) or {}
          for index, ack in ipairs(turn.acks) do
            local entry = entries[ack.seq] or readBriefly(ack, actor, outcomes[index]) or readEntry(actor, ack.seq)
            if not entry or entry.sequence > lease.upTo or entry.header.id ~= ack.id then return nil end
            entries[ack.seq] = entry
          end
          return entries
        end

        -- Whether what arrived directly may take its place: it has none yet, and nothing is left that was stored before
        -- it.
        local function takes(turn, entries, actor)
          local arrivals, live = turn.arrivals, actor.live
          if not arrivals then return true end
          if live.paused or live.dead >= actor.fixed.countMax then return false end
          local handled = 0
          for _ in pairs(entries) do handled = handled + 1 end
          if live.count ~= handled then return false end
          for _, ack in ipairs(turn.acks) do
            -- It may be left in the mailbox, to be tried again.
            if ack.as == 'failed' and entries[ack.seq].header.kind ~= 0 then return false end
          end
          local keys, seen = {}, {}
          for index, arrival in ipairs(arrivals) do
            if arrival.as == 'undecodable' or seen[arrival.id] then return false end
            keys[index], seen[arrival.id] = outcomeKey(arrival.id), true
          end
          for _, packed in ipairs(call('MGET', unpack(keys))) do
            if packed and not isOver(outcomeOf(packed)) then return false end
          end
          return true
        end

        -- A target that has no room for the turn's messages. Turns may fill mailboxes to twice their capacity, since
        -- they cannot wait without holding up their own.
        local function fullTarget(outgoing)
          local demand, away = {}, {}
          for _, message in ipairs(outgoing) do
            local key = keyOf(message.header.to)
            local so = demand[key] or { count = 0, size = 0 }
            demand[key] = so
            so.count, so.size = so.count + 1, so.size + message.header.size
            local destination = message.header.away
            if destination then
              local total = away[destination] or { count = 0, size = 0 }
              away[destination] = total
              total.count, total.size = total.count + 1, total.size + message.header.size
              if not outboxHasRoom(key, so.count, destination, total) then return message.header.to end
            else
              local actor = loadActor(key)
              if actor and not hasRoom(actor, so.count, so.size, 2) then return message.header.to end
            end
          end
          return nil
        end

        local function settle(entry, actor, status, payload, refs)
          if entry.isGone then return end
          takeFromLease(actor)
          dequeue(entry, actor)
          unpin(entry.header.refs)
          finish(entry.header.id, status, payload, entry.outcome, refs)
        end

        local function applyAcknowledgement(ack, entry, actor)
          if ack.as == 'completed' then
            extendHolds(ack.refs, now + limits.outcomeRetention)
            settle(entry, actor, 'committed', blob(ack.blob), ack.refs)
          elseif ack.as == 'failed' then
            if entry.isGone then return end
            if entry.header.kind == 0 then
              settle(entry, actor, 'failed', blob(ack.blob))
            else
              retry(entry, actor, 'it failed ' .. actor.fixed.attemptsMax .. ' times')
            end
          elseif ack.as == 'undecodable' then
            if entry.isGone then return end
            takeFromLease(actor)
            bury(entry, actor, blob(ack.blob))
          else
            settle(entry, actor, ack.as)
          end
        end

        local statuses = { completed = 'committed', failed = 'failed', expired = 'expired', cancelled = 'cancelled' }

        -- Gives what arrived directly the next place, and its outcome. Nobody waits for that here: its caller is told
        -- by whom it asked.
        local function applyArrival(arrival, actor)
          local live = actor.live
          if arrival.as == 'completed' then extendHolds(arrival.refs, now + limits.outcomeRetention) end
          live.last = live.last + 1
          local entry = { fingerprint = arrival.print or '0', target = actor.fixed.id, sequence = live.last,
            watchers = {} }
          finish(arrival.id, statuses[arrival.as], arrival.blob and blob(arrival.blob), entry)
        end

        -- Sends a turn's message; one that nobody can take is a dead letter of the sender.
        local function sendOut(message, sender)
          local header = message.header
          if liveOutcome(header.id) then return end
          local isLarge = header.size > limits.envelopeSizeBytesMax
          if header.away and not isLarge then return putOut(message.packed, header, message.body, sender.key) end
          local target = not header.away and loadActor(keyOf(header.to))
          if target and not isLarge then
            enqueue(message.packed, header, message.body, target)
            return
          end
          local reason = isLarge and 'the envelope is larger than ' .. limits.envelopeSizeBytesMax .. ' bytes'
            or 'there is no actor ' .. keyOf(header.to)
          pin(header.refs)
          local sequence = sender.live.last + 1
          sender.live.last = sequence
          addDeadLetter(sender, sequence, 0, reason, message.packed, message.body)
          savePending(header.id, pendingOf(header, sequence))
          finish(header.id, 'deadLettered', reason)
        end

        local function apply(turn, entries, outgoing, actor)
          for _, ack in ipairs(turn.acks) do applyAcknowledgement(ack, entries[ack.seq], actor) end
          for _, arrival in ipairs(turn.arrivals or {}) do applyArrival(arrival, actor) end
          if turn.state then replaceState(actor, blob(turn.state), turn.refs) end
          for _, message in ipairs(outgoing) do sendOut(message, actor) end
          for _, change in ipairs(turn.timers) do applyTimer(change, actor) end
        end

        local function commit(turn, worker)
          local actor = loadActor(turn.key)
          local lease = actor and actor.live.lease
          if not lease or lease.worker ~= worker or lease.epoch ~= turn.epoch then return { 'fenced' } end
          if turn.number <= lease.commits then return { 'committed' } end
          local entries = turn.number == lease.commits + 1 and acknowledged(turn, actor, lease)
          if not entries then return { 'fenced' } end
          if not takes(turn, entries, actor) then return { 'overtaken' } end
          local outgoing = {}
          for index, first in ipairs(turn.outgoing) do
            local packed = blob(first)
            outgoing[index] = { packed = packed, header = cmsgpack.unpack(packed), body = blob(first + 1) }
          end
          local full = fullTarget(outgoing)
          if full then return { 'full', full } end
          apply(turn, entries, outgoing, actor)
          lease.commits, actor.isChanged = turn.number, true
          announceRoom(actor)
          local retryAt = actor.live.delayedUntil
          if not retryAt then
            deliverMore(actor)
            return { 'committed' }
          end
          endLease(actor)
          updateReadiness(actor)
          return { 'released', retryAt }
        end

        function serve.commit()
          local answers = {}
          for index, turn in ipairs(request.turns) do answers[index] = commit(turn, request.worker) end
          return answers
        end
        """#
}

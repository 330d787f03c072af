/// Ends of leases, attempts and envelopes that are put aside.
enum Endings {
    static let source = #"""
        local function backoff(actor, attempts)
          local doubled = actor.fixed.backoffBase * 2 ^ math.min(math.max(attempts - 1, 0), 20)
          return math.min(doubled, actor.fixed.backoffMax)
        end

        local function delay(actor, milliseconds)
          local live = actor.live
          live.delayedUntil = math.max(live.delayedUntil or now + milliseconds, now + milliseconds)
          actor.isChanged = true
          call('ZADD', base .. ':due:delays', live.delayedUntil, actor.key)
        end

        local function addDeadLetter(actor, sequence, attempts, reason, packed, body)
          local letter = cmsgpack.pack({ sequence, reason, attempts, now, packed, body })
          call('ZADD', base .. ':letters:' .. actor.key, sequence, letter)
          call('ZADD', base .. ':troubled', 0, actor.key)
          actor.live.dead, actor.isChanged = actor.live.dead + 1, true
          deadLetterDelta = deadLetterDelta + 1
        end

        -- Puts a queued envelope aside, with the reason.
        local function bury(entry, actor, reason)
          local attempts = attemptsOf(actor, entry.sequence)
          dequeue(entry, actor)
          addDeadLetter(actor, entry.sequence, attempts, reason, entry.packed, entry.body)
          finish(entry.header.id, 'deadLettered', reason)
        end

        local function takeFromLease(actor)
          local lease = actor.live.lease
          if lease then lease.outstanding = lease.outstanding - 1 end
        end

        -- Counts an attempt: the envelope stays and is due after the back-off, or is a dead letter.
        local function retry(entry, actor, reason)
          local attempts = attemptsOf(actor, entry.sequence) + 1
          setAttempts(actor, entry.sequence, attempts)
          if attempts >= actor.fixed.attemptsMax then
            takeFromLease(actor)
            bury(entry, actor, reason)
          else
            delay(actor, backoff(actor, attempts))
          end
        end

        -- Frees an actor whose worker went. If the worker died with envelopes under way, the first of them has had an
        -- attempt.
        local function giveBack(key, isCrash)
          local actor = loadActor(key)
          local lease = actor and actor.live.lease
          if not lease then return end
          endLease(actor)
          -- What waits for another site is not run here: the death of whoever carries it says nothing of it.
          local isRun = string.sub(key, 1, 6) ~= '@site/' and not isCarried(actor)
          if isCrash and lease.outstanding > 0 and isRun then
            actor.live.suspect = lease.upTo
            local entry = readQueue(actor, 0, 1)[1]
            local attempts = attemptsOf(actor, entry.sequence) + 1
            setAttempts(actor, entry.sequence, attempts)
            if attempts >= actor.fixed.attemptsMax then
              bury(entry, actor, 'its worker died ' .. attempts .. ' times while handling it')
            elseif attempts > 1 then
              delay(actor, backoff(actor, attempts - 1))
            end
            announceRoom(actor)
          end
          updateReadiness(actor)
        end

        local function queuesOf(worker)
          local packed = call('HGET', base .. ':worker:' .. worker, 'queues')
          return packed and cmsgpack.unpack(packed)
        end

        local function leaveRings(worker)
          for _, queue in ipairs(queuesOf(worker) or {}) do call('LREM', base .. ':ring:' .. queue, 0, worker) end
        end

        -- The lane is emptied rather than deleted, so that the numbers of its items go on growing.
        local function clearLane(worker) call('XTRIM', base .. ':lane:' .. worker, 'MAXLEN', 0) end

        -- Ends a worker: its lane goes, and its actors are free for others.
        local function removeWorker(worker, isCrash)
          if call('EXISTS', base .. ':worker:' .. worker) == 0 then return end
          leaveRings(worker)
          local held = call('ZRANGE', base .. ':held:' .. worker, 0, -1)
          call('DEL', base .. ':worker:' .. worker, base .. ':held:' .. worker)
          call('ZREM', base .. ':workers', worker)
          call('ZREM', base .. ':due:leases', worker)
          -- Whoever waits at its lane finds out.
          clearLane(worker)
          deliver(worker, 'gone', '')
          call('PEXPIRE', base .. ':lane:' .. worker, 3600000)
          goneWorkers[worker] = true
          for _, key in ipairs(held) do giveBack(key, isCrash) end
        end

        -- Most states refer to nothing, which their actor's record says by itself.
        local function stateReferences(actor)
          if not actor.live.refers then return {} end
          return cmsgpack.unpack(actor.state and actor.state[4] or call('HGET', base .. ':actor:' .. actor.key, 'refs'))
        end

        local function replaceState(actor, state, refs)
          pin(refs)
          unpin(stateReferences(actor))
          actor.state, actor.isChanged = { 'state', state }, true
          actor.live.refers = #refs > 0 or nil
          if #refs > 0 then actor.state = { 'state', state, 'refs', cmsgpack.pack(refs) } end
        end

        """#
}

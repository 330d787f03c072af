/// What became of calls, and who wants to know.
enum Outcomes {
    static let source = #"""
        local function outcomeKey(id) return base .. ':outcome:' .. id end

        local function readOutcome(id)
          local packed = call('GET', outcomeKey(id))
          if not packed then return nil end
          local fields = cmsgpack.unpack(packed)
          return {
            fingerprint = fields[1], target = fields[2], sequence = fields[3], watchers = fields[4],
            status = fields[5], payload = fields[6], expiresAt = fields[7],
          }
        end

        -- A pending outcome has no status, and no expiry: it goes with its envelope.
        local function savePending(id, entry)
          call('SET', outcomeKey(id),
            cmsgpack.pack({ entry.fingerprint, entry.target, entry.sequence, entry.watchers }))
        end

        -- The outcome of an id, unless its retention is over.
        local function liveOutcome(id)
          local entry = readOutcome(id)
          if entry and entry.expiresAt and entry.expiresAt <= now then
            call('DEL', outcomeKey(id))
            return nil
          end
          return entry
        end

        -- Beyond the bound the oldest watcher goes, and asks by id.
        local function watch(id, entry, client)
          for _, watcher in ipairs(entry.watchers) do
            if watcher == client then return end
          end
          table.insert(entry.watchers, client)
          if #entry.watchers > limits.watchersMax then table.remove(entry.watchers, 1) end
          savePending(id, entry)
        end

        local function completionOf(id, entry)
          return text(entry.expiresAt) .. '.' .. text(entry.sequence) .. ' ' .. id
        end

        local function forgetOldestOutcome()
          local oldest = call('LPOP', base .. ':completed')
          local id = string.match(oldest, '^%-?%d+%.%d+ (.*)$')
          local entry = readOutcome(id)
          if entry and entry.status and completionOf(id, entry) == oldest then call('DEL', outcomeKey(id)) end
        end

        -- Makes a pending outcome final, tells its watchers, and forgets the oldest beyond the bound.
        local function finish(id, status, payload)
          local entry = readOutcome(id)
          if not entry or entry.status then return end
          payload = payload or ''
          for _, watcher in ipairs(entry.watchers) do
            post(watcher, 'outcome', id, 'status', status, 'payload', payload)
          end
          entry.expiresAt = now + limits.outcomeRetention
          local record = { entry.fingerprint, entry.target, entry.sequence, {}, status, payload, entry.expiresAt }
          call('SET', outcomeKey(id), cmsgpack.pack(record), 'PX', limits.outcomeKeyRetention)
          local count = call('RPUSH', base .. ':completed', completionOf(id, entry))
          if count > limits.outcomesMax then forgetOldestOutcome() end
        end

        """#
}
